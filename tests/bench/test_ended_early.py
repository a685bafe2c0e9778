"""Benchmarks that are ended before their end leave neither folders nor processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.places import REPO
from tests.waiting import wait_for

TINY = ("game=tic_tac_toe", "network.blocks=1", "network.channels=8", "search.num_simulations=4")
# What it has written when it is at the middle of its work, and its own settings.
BENCHES = {
    "checkpoint": ("ddpzero-checkpoint-*/*/checkpoints/*", "replay.capacity=20000"),
    "memory": ("ddpzero-memory-*/*/status.json", "replay.capacity=20000", "actors.num_games=8"),
    "scaling": ("ddpzero-scaling-*/1/loop.log", "actors.num_games=8"),
    "serve": ("ddpzero-bench-*/server.log",),
    "gpu_check": ("gpu-check-*/gpu_check/status.json",),
}


@contextmanager
def started(name: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a benchmark, and wait until it is at the middle of its work; yield its process."""
    written, *settings = BENCHES[name]
    command = ["ddpzero.cli", "bench", name, *TINY, *settings, "--seconds", "300"]
    if name == "gpu_check":
        command = ["ddpzero.bench.gpu_check", "--device", "cpu", "--quick", "--steps", "training"]
    own = {**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-m", *command], env=own, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: list(tmp_path.glob(written)) or process.poll() is not None)
        assert process.poll() is None
        yield process
    finally:
        process.kill()
        process.wait()


def started_by(tmp_path: Path) -> list[psutil.Process]:
    """All processes of a benchmark, known by their folder of temporary files."""
    return [process for process in psutil.process_iter() if _folder_of(process) == str(tmp_path)]


def _folder_of(process: psutil.Process) -> str | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process.environ().get("TMPDIR")
    except psutil.Error:
        return None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["checkpoint", "memory", "scaling", "gpu_check"])
def test_sigterm_leaves_no_folder_and_no_process(name, tmp_path):
    with started(name, tmp_path) as process:
        assert len(started_by(tmp_path)) > 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    wait_for(lambda: not started_by(tmp_path))
    # torch may have made a folder of its own, which it would use again.
    assert list(tmp_path.glob(BENCHES[name][0].partition("/")[0])) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["memory", "scaling", "serve", "gpu_check"])
def test_a_killed_benchmark_leaves_no_process(name, tmp_path):
    with started(name, tmp_path) as process:
        assert len(started_by(tmp_path)) > 1
        process.kill()
        process.wait()
    wait_for(lambda: not started_by(tmp_path))
