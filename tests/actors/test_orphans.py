"""However a rank ends, its actors end with it. Real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import is_running, wait_until

HERE = Path(__file__).parent


@contextmanager
def toy_rank(behavior: str) -> Iterator[tuple[subprocess.Popen, list[int]]]:
    """A rank in a process group of its own, and the pids of its actors."""
    path = os.pathsep.join([str(HERE), str(HERE.parent.parent), os.environ.get("PYTHONPATH", "")])
    rank = subprocess.Popen(
        [sys.executable, str(HERE / "toy_rank.py"), behavior],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert rank.stdout is not None
    try:
        pids = json.loads(rank.stdout.readline())
        assert len(pids) == 3
        yield rank, pids
    finally:
        rank.kill()
        rank.wait()
        rank.stdout.close()


def none_runs(pids: list[int]) -> bool:
    return not any(is_running(pid) for pid in pids)


@pytest.mark.parametrize("behavior", ["polls", "blocks", "has deaf actors"])
def test_actors_die_with_a_rank_that_is_killed(behavior):
    with toy_rank(behavior) as (rank, pids):
        time.sleep(0.3)  # blocked actors are in the middle of a send
        assert all(is_running(pid) for pid in pids)
        rank.kill()
        assert wait_until(lambda: none_runs(pids), seconds=5) < 2.0


def test_actors_die_with_a_rank_that_is_killed_while_they_start():
    with toy_rank("starts") as (rank, pids):
        rank.kill()
        assert wait_until(lambda: none_runs(pids), seconds=10) < 10


def test_actors_leave_sigterm_and_the_like_to_their_rank():
    with toy_rank("polls") as (rank, pids):
        for number in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1"):
            for pid in pids:
                os.kill(pid, getattr(signal, number))
        time.sleep(0.5)
        assert all(is_running(pid) for pid in pids) and rank.poll() is None


def test_actors_that_start_survive_signals_to_the_group():
    """A signal in the half second in which Python starts would otherwise end them."""
    with toy_rank("starts") as (rank, pids):
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        time.sleep(1.5)
        assert all(is_running(pid) for pid in pids) and rank.poll() is None


@pytest.mark.parametrize("behavior", ["polls", "leaves on SIGTERM"])
def test_sigterm_to_the_process_group_leaves_no_orphans(behavior):
    with toy_rank(behavior) as (rank, pids):
        os.killpg(rank.pid, signal.SIGTERM)
        rank.wait(timeout=10)
        assert wait_until(lambda: none_runs(pids), seconds=5) < 5


def test_a_rank_that_forgets_to_close_its_pool_still_ends():
    with toy_rank("returns") as (rank, pids):
        assert rank.wait(timeout=10) == 0
        assert none_runs(pids)
