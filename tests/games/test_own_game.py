"""A game from outside the tree, as README says it: one file, one yaml, --config-dir. It trains, is verified, plays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ddpzero.cli.commands import main as ddpzero
from tests.places import OWN_GAMES

PAIRS = OWN_GAMES / "pairs.py"
TINY = [
    "device=cpu",
    "network.blocks=1",
    "network.channels=8",
    "search.num_simulations=8",
    "actors.num_actors=1",
    "actors.num_games=16",
    "replay.capacity=4000",
    "replay.min_samples=200",
    "learner.batch_size=32",
    "learner.steps_per_epoch=40",
    "learner.max_epochs=1",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the game's file and its yaml, where the commands are typed."""
    (tmp_path / "my_game.py").write_text(PAIRS.read_text())
    yaml = tmp_path / "my_conf" / "game" / "my_game.yaml"
    yaml.parent.mkdir(parents=True)
    yaml.write_text(f"name: my_game\nsource: {tmp_path / 'my_game.py'}\npairs: 2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_contract_of_an_own_game_is_verified(folder, capsys):
    words = ["verify", "contract", "--config-dir", "my_conf", "--game", "my_game", "--games", "5"]
    assert ddpzero(words) == 0
    assert "my_game" in capsys.readouterr().out


def test_a_kernel_with_a_wrong_signature_is_told_which_and_how(folder, capsys):
    file = folder / "my_game.py"
    file.write_text(
        file.read_text().replace("def is_terminal(rules, position)", "def is_terminal(position)")
    )
    words = ["verify", "contract", "--config-dir", "my_conf", "--game", "my_game"]
    assert ddpzero(words) == 2
    said = capsys.readouterr().err
    assert "is_terminal(position) must have the parameters (rules, position)" in " ".join(
        said.split()
    )


@pytest.mark.slow
def test_an_own_game_trains_and_its_agent_plays_matches_and_people(folder, capsys, monkeypatch):
    command = [sys.executable, "-m", "ddpzero.main", "--config-dir", "my_conf", "game=my_game"]
    trained = subprocess.run(
        [*command, "run_name=mine", *TINY], capture_output=True, text=True, timeout=240, check=False
    )
    assert trained.returncode == 0, trained.stderr
    assert "learner.max_epochs=1 is reached" in trained.stdout + trained.stderr
    assert ddpzero(["match", "runs/mine", "random", "--games", "20"]) == 0
    assert "against random" in capsys.readouterr().out
    answers = iter(["1", *"abcdabcd", "n"])  # whatever the agent takes, one of the cells is free
    monkeypatch.setattr("builtins.input", lambda prompt="": next(answers))
    assert ddpzero(["play", "runs/mine"]) == 0
    said = capsys.readouterr().out
    assert any(end in said for end in ("you win after", " wins after", "a draw after")), said


@pytest.mark.slow
def test_a_game_whose_actions_are_no_cells_trains_and_plays_a_match(folder, capsys):
    """alphazero/test_other_actions.py plays and trains more of them, without the commands."""
    yaml = folder / "my_conf" / "game" / "pawns.yaml"
    yaml.write_text(f"name: pawns\nsource: {OWN_GAMES / 'pawns'}.py\n")
    command = [sys.executable, "-m", "ddpzero.main", "--config-dir", "my_conf", "game=pawns"]
    trained = subprocess.run(
        [*command, "run_name=mine", *TINY], capture_output=True, text=True, timeout=240, check=False
    )
    assert trained.returncode == 0, trained.stderr
    assert "learner.max_epochs=1 is reached" in trained.stdout + trained.stderr
    assert ddpzero(["match", "runs/mine", "rollout:10", "--games", "4"]) == 0
    assert "against rollout:10" in capsys.readouterr().out
