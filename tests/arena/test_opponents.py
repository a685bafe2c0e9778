"""Facts about the players of a run's matches: which are refused, and that a trained opponent never changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddpzero.arena.opponents import (
    OPPONENTS_FOLDER,
    check_opponents,
    find_player,
    names_of_opponents,
)
from ddpzero.config.hydra import compose_settings
from ddpzero.games import load_any_game
from ddpzero.run.checkpoint_content import load_weights
from ddpzero.system.errors import UserError
from tests.run.checkpointed_runs import saved_run, snapshot


@pytest.mark.parametrize(
    ("game", "opponent", "sentence"),
    [
        (
            "tic_tac_toe",
            "rollout:1O0",
            "player 'rollout:1O0': '1O0' is not a number of simulations",
        ),
        ("tic_tac_toe", "nonsense", "player 'nonsense' is unknown in tic_tac_toe"),
        (
            "tic_tac_toe",
            "some:level3",
            "some:level3 has a level, which is for play and ddpzero match",
        ),
        ("snakes", "rollout:100", "player 'rollout:100' is unknown in snakes"),
    ],
)
def test_an_opponent_that_cannot_play_the_game_is_refused(
    game: str, opponent: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        check_opponents(tmp_path, [opponent], load_any_game(game))
    assert str(caught.value).startswith(f"arena.opponents=[{opponent}]: {sentence}")


def test_opponents_that_can_play_the_game_are_accepted_and_nothing_is_written(
    tmp_path: Path,
) -> None:
    check_opponents(tmp_path, ["random", "rollout:3"], load_any_game("tic_tac_toe"))
    assert list(tmp_path.iterdir()) == []


def test_an_empty_list_of_opponents_is_refused() -> None:
    with pytest.raises(UserError, match=r"^arena\.opponents=\[\] is empty"):
        compose_settings(["arena.opponents=[]"])


def test_a_run_named_as_opponent_stays_the_agent_that_it_was(tmp_path: Path, alone) -> None:
    game, run_dir, other = load_any_game("tic_tac_toe"), tmp_path / "mine", tmp_path / "other"
    checkpoints = saved_run(other, alone, 1, keep_last=1)
    opponents = [str(other), "random"]
    names = names_of_opponents(run_dir, opponents, game)
    # The checkpoint of step 1 is deleted.
    checkpoints.save(snapshot(2))
    assert names_of_opponents(run_dir, opponents, game) == names
    assert names[1] == "random"
    path = find_player(run_dir, names[0])
    assert path is not None
    assert load_weights(path).counters["learner_step"] == 1
    assert load_weights(other).counters["learner_step"] == 2


def test_opponents_of_runs_with_the_same_name_are_two_players(tmp_path: Path, alone) -> None:
    others = [tmp_path / folder / "run" for folder in ("a", "b")]
    for other in others:
        saved_run(other, alone, 1)
    names = names_of_opponents(tmp_path / "mine", list(map(str, others)), load_any_game("hex"))
    assert len(set(names)) == 2
    assert all(find_player(tmp_path / "mine", name) for name in names)


@pytest.mark.parametrize("content", ["[1]", "{", '{"OTHER": "opponents/../other"}', '{"OTHER": 3}'])
def test_a_damaged_list_of_copies_is_written_anew(content: str, tmp_path: Path, alone) -> None:
    other, run_dir = tmp_path / "other", tmp_path / "mine"
    saved_run(other, alone, 1)
    game = load_any_game("tic_tac_toe")
    names = names_of_opponents(run_dir, [str(other)], game)
    sources = run_dir / OPPONENTS_FOLDER / "sources.json"
    whole = sources.read_text()
    sources.write_text(content.replace("OTHER", str(other)))
    assert names_of_opponents(run_dir, [str(other)], game) == names
    assert sources.read_text() == whole
