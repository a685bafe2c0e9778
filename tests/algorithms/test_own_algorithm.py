"""An algorithm from outside the tree, as README says it: one file. It trains Tic-Tac-Toe and wins its match."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ddpzero.cli.commands import main as ddpzero
from tests.places import REINFORCE

COMMAND = [
    *("algorithm=own", f"algorithm.source={REINFORCE}", "game=tic_tac_toe", "run_name=own"),
    *("device=cpu", "seed=1", "actors.num_actors=1", "learner.schedule=rounds"),
    *("learner.episodes_per_round=512", "learner.steps_per_round=32", "learner.max_epochs=20"),
    *("learner.optimizer=adamw", "learner.learning_rate=0.003", "learner.ema_decay=0"),
    *("replay.capacity=4000", "replay.window_exponent=1"),
]


def test_it_has_at_most_150_lines() -> None:
    assert len(REINFORCE.read_text().splitlines()) <= 150


@pytest.mark.slow
def test_it_learns_tic_tac_toe_from_self_play(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = subprocess.run(
        [sys.executable, "-m", "ddpzero.main", *COMMAND],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert trained.returncode == 0, trained.stderr
    assert ddpzero(["match", "runs/own", "random", "--game", "tic_tac_toe"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    score = re.search(r"scores ([\d.]+)%", said)
    assert score is not None, said
    assert float(score[1]) >= 90
