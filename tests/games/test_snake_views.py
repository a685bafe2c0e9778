"""What an agent sees of a game of snakes: that it does not depend on where on the torus, in which direction and in
which team it plays; what it says of drawn boards; and that the sets of bits say what plain sets do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

import numpy as np
import pytest

from ddpzero.games import TeamGame
from ddpzero.games.snake_bits import HORIZON
from ddpzero.games.team_lockstep import observe_features_of, observe_planes_of
from tests.games.snake_harness import (
    DOWN,
    LEFT,
    RIGHT,
    UP,
    Seen,
    board_1v1,
    board_2v2,
    drawn,
    look_at,
    placed,
    played,
    positions_of_games,
    snakes_game,
)

# Features of a snake: 5 of itself, 14 for each move, 6 for each of 5 beans, 9 for each other snake.
OWN, MOVES, BEANS = 5, 3 * 14, 5 * 6
STRAIGHT, RIGHTWARDS, LEFTWARDS = range(3)


def odd_board() -> TeamGame:
    """Of odd size nothing is half-way around, where left is as far as right."""
    return snakes_game(rows=9, columns=19)


# ------------------------------------------------------------------------------------- symmetry


@pytest.mark.parametrize("observe", ["features", "planes"])
@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, 1), (4, 13)])
def test_a_view_is_the_same_everywhere_on_the_torus(observe, down, right):
    game = odd_board()
    for team in (0, 1):
        positions = some_positions(game)
        shifted = [moved(game, position, shift(down, right)) for position in positions]
        assert_equal(seen_by(game, shifted, team, observe), seen_by(game, positions, team, observe))


def test_features_are_the_same_in_the_opposite_direction():
    game = odd_board()
    positions = some_positions(game)
    turned = [moved(game, position, upside_down, (DOWN, UP, RIGHT, LEFT)) for position in positions]
    before, after = (seen_by(game, those, 0, "features") for those in (positions, turned))
    assert np.array_equal(after.entries, before.entries)
    assert np.array_equal(after.legal, before.legal)
    assert np.array_equal(after.actions, before.actions ^ 1)


def test_features_of_the_mirrored_board_have_left_and_right_exchanged():
    game = odd_board()
    positions = some_positions(game)
    mirrored = [moved(game, position, mirror, (UP, DOWN, RIGHT, LEFT)) for position in positions]
    before, after = (seen_by(game, those, 0, "features") for those in (positions, mirrored))
    expected = before.entries.copy()
    of_moves, of_beans, of_snakes = split(expected)
    of_moves[..., [RIGHTWARDS, LEFTWARDS], :] = of_moves[..., [LEFTWARDS, RIGHTWARDS], :]
    of_beans[..., 2] *= -1
    of_snakes[..., [1, 3]] *= -1
    of_snakes[..., [6, 8]] = of_snakes[..., [8, 6]]
    assert np.array_equal(after.entries, expected)
    assert np.array_equal(after.legal, before.legal[..., [0, 3, 2, 1]])
    directions = np.array([UP, DOWN, RIGHT, LEFT])
    assert np.array_equal(after.actions, directions[before.actions[..., [0, 3, 2, 1]]])


def test_planes_of_the_mirrored_board_are_mirrored():
    game = odd_board()
    positions = some_positions(game)
    mirrored = [moved(game, position, mirror, (UP, DOWN, RIGHT, LEFT)) for position in positions]
    before, after = (seen_by(game, those, 0, "planes") for those in (positions, mirrored))
    assert np.array_equal(after.entries, before.entries[..., ::-1])
    assert np.array_equal(after.legal, before.legal[..., [UP, DOWN, RIGHT, LEFT]])


@pytest.mark.parametrize("observe", ["features", "planes"])
def test_a_view_does_not_depend_on_the_number_of_the_team(observe):
    game = odd_board()
    positions = some_positions(game)
    swapped = [moved(game, position, order=(3, 4, 5, 0, 1, 2)) for position in positions]
    assert_equal(seen_by(game, swapped, 0, observe), seen_by(game, positions, 1, observe))
    assert_equal(seen_by(game, swapped, 1, observe), seen_by(game, positions, 0, observe))


@pytest.mark.parametrize("observe", ["features", "planes"])
def test_a_view_does_not_depend_on_the_place_in_the_team(observe):
    game = odd_board()
    positions = some_positions(game)
    rotated = [moved(game, position, order=(1, 2, 0, 3, 4, 5)) for position in positions]
    before, after = (seen_by(game, those, 0, observe) for those in (positions, rotated))
    assert_equal(after, View(*(np.roll(array, -1, axis=1) for array in before)))


@pytest.mark.parametrize("observe", ["features", "planes"])
def test_a_mate_is_seen_differently_from_an_enemy(observe):
    game = odd_board()
    positions = some_positions(game)
    exchanged = [moved(game, position, order=(0, 4, 2, 3, 1, 5)) for position in positions]
    before, after = (seen_by(game, those, 0, observe).entries[:, 0] for those in (positions, exchanged))
    assert (before != after).reshape(len(positions), -1).any(axis=1).all()


def test_agents_of_a_team_see_different_things():
    game = odd_board()
    for observe in ("features", "planes"):
        entries = seen_by(game, some_positions(game), 0, observe).entries
        assert (entries[:, 0] != entries[:, 1]).reshape(len(entries), -1).any(axis=1).all()


# ---------------------------------------------------------------------------------------- legal


def legal_actions(game: TeamGame, position: np.ndarray, team: int = 0) -> list[set[int]]:
    """Of each snake of a team; both views agree."""
    found = []
    for observe in ("features", "planes"):
        view = seen_by(game, [position], team, observe)
        found.append(
            [
                set(actions[legal].tolist())
                for legal, actions in zip(view.legal[0], view.actions[0], strict=True)
            ]
        )
    assert found[0] == found[1]
    return found[0]


def test_neither_the_reverse_nor_a_body_is_legal():
    game = board_2v2()
    position = drawn(
        game,
        """
        cba3....
        ..012...
        ........
        .....C..
        .....BA.
        opqn....
        """.replace("opqn....", "....pon."),
    )
    assert legal_actions(game, position) == [{UP, RIGHT}, {UP, RIGHT, DOWN} - {DOWN}]
