"""Runs one training of an ablation in a process of its own, which ends with this one.

A signal to this process stops the training, which saves a checkpoint; the next start continues it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ddpzero.system.signals import StopSignal, install_stop_signal

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
_POLL_SECONDS = 0.2


class TrainingStopped(RuntimeError):
    """A signal stopped the training; it can be continued."""


class CellFailed(RuntimeError):
    """A training, or the judgment of its models, ended with this sentence; the others go on."""


def online_command(words: Sequence[str], config_dir: str | None) -> list[str]:
    """Return the command of a training with actors."""
    options = [] if config_dir is None else ["--config-dir", config_dir]
    return [sys.executable, "-m", "ddpzero.main", *options, *words]


def offline_command(words: Sequence[str], config_dir: str | None, source: Path) -> list[str]:
    """Return the command of a training on the replay buffer of `source`, a run or a checkpoint."""
    job = "ddpzero.bench.ablation.offline_job"
    return [sys.executable, "-m", job, config_dir or "", str(source), *words]


def run_training(command: Sequence[str], log: Path) -> None:
    """Run a training to its end. log: receives its output.

    Raises TrainingStopped after a signal, CellFailed with the training's own sentence, KeyboardInterrupt after a
    second Ctrl-C. No process of the training outlives the call, nor this process if it is killed.
    """
    # Of its own session, so that Ctrl-C reaches it only from here, and all its processes can be ended together.
    guarded = [sys.executable, "-m", "ddpzero.system.parent", str(os.getpid()), *command]
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    log.parent.mkdir(parents=True, exist_ok=True)
    with _stop_signal() as stop, open(log, "ab") as output:
        before = output.tell()
        process = subprocess.Popen(
            guarded, stdout=output, stderr=output, env=environment, start_new_session=True
        )
        try:
            exit_code = _wait(process, stop)
        finally:
            _kill(process)
        if stop.is_set:
            raise TrainingStopped(stop.reason)
    if exit_code != 0:
        raise CellFailed(_reason(log, before, exit_code))


def _wait(process: subprocess.Popen[bytes], stop: StopSignal) -> int:
    """Wait for the end of the training; pass a signal on to it once. Return the exit code."""
    is_told = False
    while True:
        if stop.is_set and not is_told:
            process.send_signal(signal.SIGTERM)
            is_told = True
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_POLL_SECONDS)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the training."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def _stop_signal() -> Iterator[StopSignal]:
    """Within the block signals only ask to stop."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield install_stop_signal()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reason(log: Path, start: int, exit_code: int) -> str:
    """Return the sentence with which a training ended, from its output after `start`."""
    with open(log, "rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    sentences = [line for line in lines if line.startswith("ddpzero: ")] or lines
    last = sentences[-1].removeprefix("ddpzero: ").strip() if sentences else "it printed nothing"
    return f"{last} (exit code {exit_code}; all output: {log})"
