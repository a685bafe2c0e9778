"""Facts about processes that need the same machine code at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ddpzero.games.core import compile_once as module
from tests.places import REPO
from tests.waiting import wait_for

# Waits until all others are there, too.
COUNT_MISSES = """
import sys, time
from pathlib import Path
from ddpzero.games import load_game
from tests import perft

folder, number = Path(sys.argv[1]), int(sys.argv[2])
(folder / f"{number}.ready").touch()
while len(list(folder.glob("*.ready"))) < 3:
    time.sleep(0.01)
perft.perft(load_game("tic_tac_toe"), 2)
print(sum(perft._count_sequences.stats.cache_misses.values()))
"""

# Takes a lock and keeps it.
KEEP = """
import sys, time
from ddpzero.games.core.compile_once import Locks

Locks().take("a")
print("taken", flush=True)
time.sleep(100)
"""


def with_empty_cache(folder: Path) -> dict[str, str]:
    """The environment of processes that share a cache of their own, which is empty."""
    own = {"NUMBA_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder)}
    return {**os.environ, **own, "PYTHONPATH": str(REPO)}


def test_one_of_them_compiles_it_and_the_others_wait(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNT_MISSES, str(tmp_path), str(number)],
            env=with_empty_cache(tmp_path),
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    misses = [int(process.communicate()[0]) for process in processes]
    assert sorted(misses) == [0, 0, 1]


# Says whether code that is not in the cache is compiled.
ONLY_LOAD = """
from ddpzero.games import load_game
from ddpzero.games.core.compile_once import NotCompiledError, only_loading
from tests import perft

def count():
    return perft.perft(load_game("tic_tac_toe"), 2)

try:
    with only_loading():
        print(count())
except NotCompiledError:
    print("missing", count())
"""


def test_code_can_be_loaded_without_being_compiled(tmp_path: Path) -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", ONLY_LOAD],
            env=with_empty_cache(tmp_path),
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        for _ in range(2)
    ]
    assert said[0] == f"missing {said[1]}" != "missing ", "no lock stays, and the cache is used"


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A process that has the lock "a"."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", KEEP],
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(REPO)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "taken\n"
    yield process
    process.kill()
    process.communicate()


def test_a_lock_is_had_once_its_process_is_killed(keeper) -> None:
    locks = module.Locks()
    assert locks.try_take("b") and not locks.try_take("a")
    keeper.kill()
    wait_for(lambda: locks.try_take("a"))
    # A process can take a lock twice.
    assert locks.try_take("a")


def test_nobody_waits_for_ever_for_a_process_that_is_stopped(keeper, monkeypatch) -> None:
    keeper.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(module, "_MOST_SECONDS", 0.2)
    locks = module.Locks()
    locks.take("a")
    assert not locks.try_take("a")
    locks.release("a")
    assert not locks.try_take("a")


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError])
def test_without_a_place_for_locks_nobody_waits(error, monkeypatch) -> None:
    def refuse(*_):
        raise error

    monkeypatch.setattr(os, "open", refuse)
    locks = module.Locks()
    assert locks.try_take("a") and locks.try_take("a")
    locks.take("a")
    locks.release("a")
