"""Facts about `ddpzero play`."""

from __future__ import annotations

import pytest

from ddpzero.games import load_game
from ddpzero.play.run import run_play


@pytest.fixture
def keyboard(monkeypatch):
    """What the person types; the input ends behind it."""

    def type_lines(*lines):
        remaining = list(lines)

        def read(prompt=""):
            if not remaining:
                raise EOFError
            return remaining.pop(0)

        monkeypatch.setattr("builtins.input", read)

    return type_lines


@pytest.fixture
def game():
    return load_game("tic_tac_toe")


def test_a_whole_game_and_no_other(keyboard, capsys, game):
    # Whatever the random player answers, one of these cells is free at each turn.
    keyboard("1", *["a1", "a2", "a3", "b1", "b2", "b3", "c1", "c2", "c3"] * 2, "n")
    run_play("random", game=game, seed=0)
    output = capsys.readouterr().out
    assert any(end in output for end in ("you win", "random wins", "a draw"))
    assert output.endswith("good bye.\n")


def test_the_end_of_input_is_a_polite_end(keyboard, capsys, game):
    keyboard()
    run_play("random", game=game)
    assert capsys.readouterr().out.endswith("good bye.\n")


def test_the_color_may_be_chosen_beforehand(keyboard, capsys, game):
    keyboard("quit")
    run_play("random", game=game, color="second", seed=0)
    output = capsys.readouterr().out
    assert "first or second" not in output
    assert "X random   O you" in output
    assert "random plays" in output


def test_two_players_play_by_themselves(keyboard, capsys, game):
    keyboard("y", "n")
    run_play("rollout:30", "random", game=game, mode="ai", delay_seconds=0, seed=0)
    output = capsys.readouterr().out
    assert "rollout:30 (first) plays" in output
    assert "random (second) plays" in output
    assert output.count("move 1: X rollout:30 (first) to play") == 2


def test_a_player_plays_itself_without_an_opponent(keyboard, capsys, game):
    keyboard()
    run_play("rollout:30", game=game, mode="ai", delay_seconds=0, seed=0)
    output = capsys.readouterr().out
    assert "rollout:30 (second) plays" in output


def test_an_opponent_for_a_person_is_refused(game):
    with pytest.raises(ValueError, match="opponent=random is for mode=ai"):
        run_play("random", "random", game=game)


@pytest.mark.parametrize(("key", "value"), [("mode", "robot"), ("color", "green")])
def test_unknown_choices_are_refused_with_what_is_allowed(game, key, value):
    with pytest.raises(ValueError, match=f"{key}={value} is unknown: it is one of"):
        run_play("random", game=game, **{key: value})


def test_a_player_that_plays_any_game_needs_one():
    with pytest.raises(ValueError, match="can play any game"):
        run_play("random")
