"""What a page hears of a position."""

import pytest

from ddpzero.games import load_game
from ddpzero.web.descriptions import describe_position
from ddpzero.web.game_line import GameLine


def line_of(game, moves):
    return GameLine(game, [game.parse_action(name) for name in moves.split()])


def test_the_owners_are_told_once_a_game_that_counts_points_is_over():
    game = load_game("go", size=5)
    line = line_of(game, "C1 D1 C2 D2 C3 D3 C4 D4 C5 D5 pass")
    assert describe_position(line)["owners"] is None
    line.play(game.parse_action("pass"))
    assert describe_position(line)["owners"] == [1, 1, 1, -1, -1] * 5
    line.go_to(4)
    assert describe_position(line)["owners"] is None


def test_nobody_owns_cells_of_a_game_that_was_resigned():
    line = line_of(load_game("go", size=5), "C3")
    line.resign(1)
    assert describe_position(line)["is_over"] and describe_position(line)["owners"] is None


@pytest.mark.parametrize("name", ["connect_four", "hex"])
def test_a_game_without_points_has_no_owners(name):
    line = line_of(load_game(name), "")
    while not line.is_over:
        line.play(int(line.game.possible_actions(line.position)[0]))
    assert describe_position(line)["owners"] is None
