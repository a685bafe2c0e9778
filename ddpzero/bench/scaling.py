"""What grows with the number of ranks, each of which has the same work. Called by `ddpzero bench scaling`.

For each number of ranks, torchrun starts them twice on this machine, with gloo on the CPU: once for slices of the
learner's loop and of a bare loop of the same updates, in turn (scaling_rank.py), and once for a training of some
seconds in which simulated devices evaluate. With more ranks than cores they take turns: seconds then grow with
the ranks whatever the program does, and CPU seconds say what it does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import psutil

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.recorded import record
from ddpzero.bench.self_play import require_cpu
from ddpzero.bench.short_run import short_run_settings
from ddpzero.config.conversion import settings_to_dict
from ddpzero.run.record import METRICS_FILE
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError
from ddpzero.system.guarded_files import parse_json_line, read_json, read_rows
from ddpzero.system.json_text import json_text
from ddpzero.system.machine import usable_memory
from ddpzero.system.memory import check_memory
from ddpzero.system.parent import with_parent
from ddpzero.system.temporary_folder import temporary_folder
from ddpzero.training.preflight import run_needs

DEFAULT_RANKS = (1, 2, 4, 8)
# No epoch ends by itself.
_NEVER = 10**9
_LOOK_SECONDS = 0.5
_START_SECONDS = 240.0
# For processes that the kernel kills, some of which may hold much memory.
_SECONDS_TO_END = 10.0
_ERROR = re.compile(r"^(?:\[rank\d+\]: )?[\w.]*(?:Error|Failed): (.+)$", re.MULTILINE)


class Training(NamedTuple):
    """A training of some seconds: rates of all ranks together, and CPU time of all their processes for an update.

    The latter is None if there was no update: many ranks on few cores need longer.
    """

    updates_per_second: float
    samples_per_second: float
    cpu_seconds_per_update: float | None


@dataclass(frozen=True)
class Scale:
    """What so many ranks came to.

    loop: seconds by name, means over ranks, and "updates", of a slice; see scaling_rank.py.
    """

    num_ranks: int
    loop: dict[str, float]
    training: Training | None

    @property
    def seconds(self) -> list[tuple[str, float]]:
        """The seconds of the loop, by name."""
        return [(name, value) for name, value in self.loop.items() if name != "updates"]


def bench_scaling(
    settings: Settings, seconds: float, seed: int, ranks: Sequence[int], trains: bool = True
) -> Iterator[Scale]:
    """Yield the figures of each number of ranks. seconds: of the loop, and of the training. trains: with the latter.

    Raises UserError if the ranks do not fit into the memory, or fail.
    """
    require_cpu(settings)
    _check_memory(settings, max(ranks))
    with temporary_folder("ddpzero-scaling-") as folder:
        record(settings, seed, folder / "recording.npz")
        for num_ranks in ranks:
            runs_dir = folder / f"{num_ranks}"
            loop = _loop(settings, seconds, num_ranks, runs_dir, folder / "recording.npz")
            training = _training(settings, seconds, num_ranks, runs_dir) if trains else None
            yield Scale(num_ranks, loop, training)


def _check_memory(settings: Settings, num_ranks: int) -> None:
    needs = run_needs(settings, load_algorithm(settings), 1, on_gpu=False, actors_on_gpu=False)
    # These runs end before their buffers are full.
    check_memory([need for need in needs if not need.is_slow], usable_memory(), num_ranks)


def _loop(
    settings: Settings, seconds: float, num_ranks: int, runs_dir: Path, recording: Path
) -> dict[str, float]:
    settings = short_run_settings(settings, runs_dir)
    learner = replace(settings.learner, steps_per_epoch=_NEVER, max_epochs=None, max_minutes=None)
    output = runs_dir / "figures.json"
    job = _job(replace(settings, learner=learner), run_name="loop")
    job |= {"recording": str(recording), "seconds": seconds, "output": str(output)}
    with (
        _started(job, runs_dir / "loop.json", num_ranks) as process,
        suppress(subprocess.TimeoutExpired),
    ):
        process.wait(_most_seconds(seconds, num_ranks))
    figures: dict[str, float] = read_json(output)
    return figures


def _training(settings: Settings, seconds: float, num_ranks: int, runs_dir: Path) -> Training:
    short = short_run_settings(settings, runs_dir)
    algorithm = load_algorithm(settings)
    has_device = algorithm.evaluator_spec(
        settings.actors, "cpu", settings.simulated, is_repeatable=False
    )
    own = replace(
        short,
        evaluator="simulated" if has_device else "local",
        learner=replace(settings.learner, max_minutes=(seconds + 2) / 60, max_epochs=None),
        logging=replace(short.logging, interval_seconds=1.0),
    )
    job = _job(own, run_name="training") | {"recording": None}
    metrics = runs_dir / "training" / METRICS_FILE
    with _started(job, runs_dir / "training.json", num_ranks) as process:
        cpu = _CpuClock(process.pid)
        deadline = time.monotonic() + _most_seconds(seconds, num_ranks)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            # From the first row on: before, processes import and compile.
            if metrics.exists():
                cpu.look()
    rows = read_rows(metrics, parse_json_line)
    rates = [row for row in rows[1:] if "speed/updates_per_second" in row] or rows
    updates = mean(row.get("speed/updates_per_second", 0.0) for row in rates)
    samples = mean(row.get("speed/samples_generated_per_second", 0.0) for row in rates)
    return Training(updates, samples, cpu.cores / updates if updates else None)


def _most_seconds(seconds: float, num_ranks: int) -> float:
    """Return how long so many ranks may take for a measurement of `seconds`, in turns on one core."""
    return _START_SECONDS + 10 * seconds * num_ranks


def _job(settings: Settings, run_name: str) -> dict[str, Any]:
    # Not measured at the start, so that all numbers of ranks train with the same one.
    precision = settings.learner.precision.replace("auto", "float32")
    learner = replace(settings.learner, precision=precision)  # type: ignore[arg-type]
    own = replace(settings, device="cpu", run_name=run_name, learner=learner)
    return {"config": settings_to_dict(own)}


@contextmanager
def _started(job: dict[str, Any], file: Path, num_ranks: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start ranks within the block, and end those that are left after it."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json_text(job))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc_per_node={num_ranks}", "-m", "ddpzero.bench.scaling_rank", str(file)]
    own = {**os.environ, "OMP_NUM_THREADS": "1"}
    with open(_log_of(file), "wb") as log:
        process = subprocess.Popen(with_parent(command), stdout=log, stderr=log, env=own)
    try:
        yield process
        _require_end(process, file, num_ranks)
    finally:
        _kill_all(process)


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill torchrun, and wait until its ranks and their actors, which end with it, have ended, too."""
    below: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    # Otherwise they would still write to the folder that is removed next.
    psutil.wait_procs(below, _SECONDS_TO_END)


def _require_end(process: subprocess.Popen[bytes], file: Path, num_ranks: int) -> None:
    """Raise UserError unless the ranks have ended well."""
    if process.poll() == 0:
        return
    log = _log_of(file).read_text(errors="replace")
    # The last line of the traceback of the rank that failed first; torchrun's own follows.
    what = _ERROR.findall(log) or log.splitlines() or ["they said nothing."]
    how = "took too long" if process.returncode is None else "failed"
    raise UserError(f"the benchmark of {num_ranks} ranks {how}: {what[0].strip()[:300]}")


def _log_of(file: Path) -> Path:
    return file.with_suffix(".log")


class _CpuClock:
    """The CPU time of a process and of all below it, between the first and the last look."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._looks: list[tuple[float, float]] = []

    @property
    def cores(self) -> float:
        """How many cores they kept busy."""
        if len(self._looks) < 2:
            return 0.0
        (first, cpu_at_first), (last, cpu_at_last) = self._looks[0], self._looks[-1]
        return (cpu_at_last - cpu_at_first) / (last - first)

    def look(self) -> None:
        seconds = 0.0
        for process in [self._process, *self._process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                seconds += times.user + times.system
        # A process that has just ended is missing: keep what was seen before.
        if not self._looks or seconds >= self._looks[-1][1]:
            self._looks.append((time.monotonic(), seconds))
