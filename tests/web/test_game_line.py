"""Facts about the moves of a game that can be undone and redone."""

from __future__ import annotations

import pytest

from ddpzero.games import load_game
from ddpzero.web.game_line import GameLine


@pytest.fixture
def line():
    return GameLine(load_game("tic_tac_toe"), [4, 0, 8])


def test_moves_can_be_taken_back_and_made_again(line):
    line.go_to(1)
    assert line.made == (4,) and line.actions == [4, 0, 8] and line.mover == 1
    line.go_to(3)
    assert line.made == (4, 0, 8)


def test_the_same_move_again_keeps_those_behind_it(line):
    line.go_to(1)
    line.play(0)
    assert line.actions == [4, 0, 8] and line.at == 2


def test_another_move_replaces_those_behind_it(line):
    line.go_to(1)
    line.play(2)
    assert line.actions == [4, 2] and line.movers == [0, 1] and line.at == 2


def test_it_goes_back_to_a_players_turn(line):
    assert line.go_back_to([0]) and line.at == 2
    assert line.go_back_to([0]) and line.at == 0
    assert not line.go_back_to([0, 1])


def test_a_move_that_is_not_legal_changes_nothing(line):
    with pytest.raises(ValueError, match="not legal"):
        line.play(4)
    assert line.actions == [4, 0, 8] and line.at == 3


def test_who_resigns_loses_until_it_is_taken_back(line):
    line.resign(line.mover)
    assert line.is_over and line.winner == 0
    with pytest.raises(ValueError, match="over"):
        line.play(1)
    assert line.go_back_to([0]) and not line.is_over and line.at == 3


def test_the_rules_end_a_game():
    line = GameLine(load_game("tic_tac_toe"), [0, 3, 1, 4, 2])
    assert line.is_over and line.winner == 0
    with pytest.raises(ValueError, match="over"):
        line.play(8)
