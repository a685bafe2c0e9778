"""Schedule "rounds" with a gate: the match of each model belongs to the run, which repeats bit by bit."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ddpzero.actors import ActorError
from ddpzero.arena.match_log import read_blocks
from ddpzero.arena.schedule import Task
from ddpzero.arena.workers import Refused
from ddpzero.run.finder import find_run
from ddpzero.run.models import MODELS_FOLDER
from ddpzero.run.releases import read_verdicts
from ddpzero.training.gate import Gate
from tests.training.test_learner import ROUNDS, TINY
from tests.training.whole_runs import kill_group, run, start

GATE = [
    *ROUNDS[:-1],
    "learner.max_epochs=3",
    "release.rule=gate",
    "release.games=80",
    "release.self_play=best",
    "arena.share=0.5",  # other matches depend on the clock
    "checkpoint.at_minutes=[0.02,0.05,0.1]",  # so do these models, which play no match of the gate
]


def outcome(folder: Path) -> dict[str, object]:
    """What a run comes to: its verdicts, the bytes of these models, and the games that decided."""
    run_dir = folder / "tiny"
    verdicts = read_verdicts(run_dir)
    weights = {
        verdict.model: (
            run_dir / MODELS_FOLDER / verdict.model / "weights.safetensors"
        ).read_bytes()
        for verdict in verdicts
    }
    blocks = read_blocks(run_dir)
    keys = [block.key for block in blocks]
    assert len(set(keys)) == len(keys)
    return {
        "weights": weights,
        "games": {block.key: block.scores for block in blocks if " 80 games " in block.key},
        "verdicts": [(v.model, v.is_released, v.reason) for v in verdicts],
    }


def wait_for_first_block(folder: Path, process) -> None:
    deadline = time.monotonic() + 120
    while not list(folder.glob("tiny/matches.jsonl")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_run_killed_during_a_match_equals_one_never_stopped_on_two_ranks(tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    run(straight, TINY, *GATE, num_ranks=2)
    process = start(killed, TINY, *GATE, num_ranks=2)
    wait_for_first_block(killed, process)
    kill_group(process, signal.SIGKILL)
    process.communicate()
    run(killed, TINY, *GATE, num_ranks=2)
    expected = outcome(straight)
    assert outcome(killed) == expected
    assert len(expected["verdicts"]) == 3
    assert len(expected["games"]) == 4
    assert find_run("tiny@best", straight).name in expected["weights"]


class RefusingWorkers:
    """One worker that refuses a task at once, here whichever is named first."""

    problem = ""
    has_idle_worker = True

    def __init__(self, *refused: Task) -> None:
        self.tasks: dict[int, Task] = {}
        self.refused: list[Refused] = []
        self._next = list(refused)

    def play(self, task: Task) -> None:
        self.tasks[0] = task

    def poll(self) -> list[Any]:
        self.refused.append(Refused(self._next.pop(0), "the file is gone."))
        return []


def test_only_a_match_that_cannot_be_played_ends_a_run_with_a_gate(alone):
    beside, of_match = (Task(key, "model", "best", 2, 0, 0) for key in ("beside", "of match"))
    workers: Any = RefusingWorkers(beside, of_match)
    gate = Gate(None, workers, alone)
    own = {of_match.key: of_match}
    assert gate._poll(own) == []
    with pytest.raises(ActorError, match=r"the games of match, .*: the file is gone\."):
        gate._poll(own)
