"""The random draws of snakes against their exact distributions, with fixed seeds: starts, reversals, new beans."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from ddpzero.games import TeamGame
from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.games.core.team_lockstep import reset_games
from ddpzero.games.snakes import rules as snake_rules
from tests.games.snakes.harness import (
    DOWN,
    LEFT,
    RIGHT,
    UP,
    board_1v1,
    drawn,
    drawn_evenly,
    look_at,
    placed,
    seems_uniform,
    snakes_game,
    started,
    stepped,
)

ROWS, COLUMNS = 10, 20


# --------------------------------------------------------------------------------------- starts


def test_the_first_snake_starts_anywhere_in_any_direction():
    positions, _ = started(snakes_game(), num_games=40_000, seed=1)
    assert seems_uniform(read(snakes_game(), positions).starts[:, 0], 4 * ROWS * COLUMNS)


def test_later_snakes_start_anywhere_among_the_free_cells():
    """Direction, row and column are drawn again together: every start that fits is as likely as the others."""
    # Three rows: a snake along them takes three columns from those across.
    game = snakes_game(rows=3, columns=32, snakes=4, teams=4, beans=40)
    starts = read(game, started(game, num_games=20_000, seed=2)[0]).starts
    cells, num_cells = cells_of_starts(3, 32), 3 * 32
    directions, first_cells = np.divmod(np.arange(4 * num_cells), num_cells)
    games, rng = np.arange(len(starts)), np.random.default_rng(0)
    is_taken = np.zeros((len(starts), num_cells), np.bool_)
    for of_snake in starts.T:
        fits = np.logical_not(is_taken[:, cells].any(axis=2))
        assert fits[games, of_snake].all()
        num_fitting = fits.sum(axis=1)
        ranks = np.where(np.arange(4 * num_cells) < of_snake[:, None], fits, False).sum(axis=1)
        assert drawn_evenly(ranks, num_fitting, rng)
        # Were a part drawn once and kept, starts that share it with few others would be too frequent.
        for part in (directions, first_cells // 32, first_cells % 32):
            num_alike = fits.astype(np.float32) @ np.eye(part.max() + 1, dtype=np.float32)[part]
            num_alike = num_alike[:, part]
            mean = (num_alike * fits).sum(axis=1) / num_fitting
            variance = (num_alike**2 * fits).sum(axis=1) / num_fitting - mean**2
            surplus = num_alike[games, of_snake] - mean
            assert abs(surplus.sum()) <= 4 * variance.sum() ** 0.5
        is_taken[games[:, None], cells[of_snake]] = True


def test_the_beans_of_a_start_are_anywhere_else():
    positions, _ = started(snakes_game(), num_games=8_000, seed=3)
    assert_beans_are_drawn_evenly(snakes_game(), positions, num_old=0)


def test_a_start_is_straight_with_the_head_in_front():
    game = snakes_game()
    positions, _ = started(game, num_games=200, seed=4)
    for position in positions:
        seen = look_at(game, position)
        seen.assert_consistent()
        assert seen.covered.max() == 1 and len(seen.beans) == 5
        assert seen.headings == seen.last_headings
        starts = read(game, position[None]).starts[0]
        assert [body[::-1] for body in seen.bodies] == cells_of_starts(ROWS, COLUMNS)[
            starts
        ].tolist()


# ------------------------------------------------------------------------------------ reversals


# Of two snakes on 6 x 8 cells, out of each other's way.
STRAIGHT = {
    UP: [[18, 26, 34], [45, 5, 13]],
    DOWN: [[18, 10, 2], [45, 37, 29]],
    LEFT: [[18, 19, 20], [45, 46, 47]],
    RIGHT: [[18, 17, 16], [45, 44, 43]],
}


@pytest.mark.parametrize("heading", [UP, DOWN, LEFT, RIGHT])
def test_a_reversal_becomes_one_of_the_other_three_directions(heading):
    game = board_1v1()
    position = placed(game, STRAIGHT[heading], [heading, heading], beans=[])
    positions = position[None].repeat(9_000, axis=0)
    random_states = new_random_states(seed=heading, num_states=9_000)
    stepped(game, positions, np.full((9_000, 2), heading ^ 1), random_states)
    moved = read(game, positions).headings
    assert not (moved == heading ^ 1).any()
    places = moved - (moved > heading ^ 1)
    # Of both snakes at once: neither depends on the other.
    assert seems_uniform(3 * places[:, 0] + places[:, 1], 9)


def test_other_actions_are_made_as_they_are():
    game = snakes_game()
    positions, random_states = started(game, num_games=500, seed=6)
    before = read(game, positions).headings
    actions = np.random.default_rng(1).integers(4, size=(500, 6))
    stepped(game, positions, actions, random_states)
    died = np.array([look_at(game, position).died for position in positions], np.bool_)
    is_comparable = ~died & (actions != before ^ 1)
    assert is_comparable.sum() > 2000
    assert np.array_equal(read(game, positions).headings[is_comparable], actions[is_comparable])


# ---------------------------------------------------------------------------------------- beans


def test_new_beans_come_anywhere_on_a_board_with_room():
    game = board_1v1()
    position = drawn(game, "cba..... ........ *....... ......A. ......B. ..*...C.")
    seen = look_at(game, position)
    positions = refilled(game, position, num_draws=40_000, seed=7)
    assert_beans_are_drawn_evenly(game, positions[:6000], num_old=2)
    # Two of them at once: neither depends on the other.
    free = np.flatnonzero((seen.covered == 0) & (seen.has_bean == 0))
    first, second = np.searchsorted(free, read(game, positions).beans[:, 2:4]).T
    num_outcomes = len(free) * (len(free) - 1)
    assert seems_uniform(first * (len(free) - 1) + second - (second > first), num_outcomes)


def test_new_beans_come_anywhere_on_a_crowded_board():
    game = board_1v1(beans=30)
    position = drawn(
        game,
        """
        cba*****
        *.***.**
        ***.*.*.
        ABCD***.
        HGFE..*.
        IJKL**..
        """,
    )
    seen = look_at(game, position)
    assert int(((seen.covered == 0) & (seen.has_bean == 0)).sum()) == 11
    assert len(seen.beans) == 22
    positions = refilled(game, position, num_draws=6_000, seed=8)
    assert (read(game, positions).num_beans == 30).all()
    assert_beans_are_drawn_evenly(game, positions, num_old=22)


def test_there_are_as_many_beans_as_there_is_room_for():
    game = board_1v1(beans=30)
    position = drawn(
        game,
        """
        cbaVUTSR
        JKLMNOPQ
        IHGFEDCB
        *******A
        .*****.*
        .*****.*
        """,
    )
    after = [look_at(game, filled) for filled in refilled(game, position, num_draws=500, seed=9)]
    assert {len(seen.beans) for seen in after} == {23}
    orders = [np.argsort(seen.beans[19:]).tolist() for seen in after]
    assert len({tuple(order) for order in orders}) == 24  # all orders of the last four cells
    for seen in after:
        seen.assert_consistent()


# -------------------------------------------------------------------------------------- streams


def test_games_side_by_side_are_independent():
    positions, _ = started(snakes_game(), num_games=8_000, seed=10)
    starts = read(snakes_game(), positions).starts[:, 0]
    directions, rows = starts // (ROWS * COLUMNS), starts // COLUMNS % ROWS
    assert seems_uniform(4 * directions[0::2] + directions[1::2], 16)
    assert seems_uniform(ROWS * rows[0::2] + rows[1::2], ROWS * ROWS)


def test_the_same_seed_gives_the_same_game_whatever_other_games_do():
    game = snakes_game()
    together = random_game(game, new_random_states(11, 30))
    again = random_game(game, new_random_states(11, 30))
    assert np.array_equal(together, again)
    assert len(np.unique(together, axis=0)) == 30
    alone = random_game(game, new_random_states(11, 30)[17:18])
    assert np.array_equal(alone[0], together[17])
    assert not (random_game(game, new_random_states(12, 30)) == together).all(axis=1).any()


# -------------------------------------------------------------------------------------- helpers


class Read(NamedTuple):
    """Of positions `[n, P]`: headings `[n, S]`; starts `[n, S]`, the place of direction and tail in cells_of_starts.

    num_beans: `[n]`; beans: `[n, B]`, the oldest first, -1 behind the last; covered: `[n, M]`.
    """

    headings: np.ndarray
    starts: np.ndarray
    num_beans: np.ndarray
    beans: np.ndarray
    covered: np.ndarray


def read(game: TeamGame, positions: np.ndarray) -> Read:
    board, num_positions = game.parameters, len(positions)
    found = Read(
        headings=np.zeros((num_positions, board.snakes), np.int64),
        starts=np.zeros((num_positions, board.snakes), np.int64),
        num_beans=np.zeros(num_positions, np.int64),
        beans=np.full((num_positions, board.beans), -1),
        covered=np.zeros((num_positions, board.rows * board.columns), np.int64),
    )
    _read(game.rules, positions, *found)
    return found


@compiled(cache=True)
def _read(rules, positions, headings, starts, num_beans, beans, covered):
    for row in range(positions.shape[0]):
        position = positions[row]
        for snake in range(rules.snakes):
            heading = snake_rules.heading(rules, position, snake)
            headings[row, snake] = heading
            tail = snake_rules.tail(rules, position, snake)
            starts[row, snake] = heading * snake_rules.num_cells(rules) + tail
        num_beans[row] = snake_rules.num_beans(position)
        for index in range(num_beans[row]):
            beans[row, index] = snake_rules.bean(position, index)
        for cell in range(covered.shape[1]):
            covered[row, cell] = snake_rules.covered(rules, position, cell)


def cells_of_starts(rows: int, columns: int) -> np.ndarray:
    """`[4 * M, 3]`: by direction and first cell the cells of a new snake, the tail first."""
    cells = np.arange(rows * columns).reshape(rows, columns)
    return np.concatenate(
        [
            np.stack([np.roll(cells, -ahead * sign, axis).ravel() for ahead in range(3)], axis=1)
            for sign, axis in ((-1, 0), (1, 0), (-1, 1), (1, 1))
        ]
    )


def refilled(game: TeamGame, position: np.ndarray, num_draws: int, seed: int) -> np.ndarray:
    """`[n, P]`: the position with new beans, drawn again and again."""
    positions = position[None].repeat(num_draws, axis=0)
    _refill(game.rules, positions, new_random_states(seed, num_draws))
    return positions


@compiled(cache=True)
def _refill(rules, positions, random_states):
    for row in range(positions.shape[0]):
        snake_rules.refill_beans(rules, positions[row], random_states[row])


def assert_beans_are_drawn_evenly(game: TeamGame, positions: np.ndarray, num_old: int) -> None:
    """Each bean behind the old ones: anywhere among the cells that snakes and the beans before it leave free."""
    found = read(game, positions)
    rows, cells = np.arange(len(positions)), np.arange(found.covered.shape[1])
    free = found.covered == 0
    rng = np.random.default_rng(0)
    for index, bean in enumerate(found.beans.T):
        assert free[rows, bean].all()
        if index >= num_old:
            ranks = (free & (cells < bean[:, None])).sum(axis=1)
            assert drawn_evenly(ranks, free.sum(axis=1), rng)
        free[rows, bean] = False


def random_game(game: TeamGame, random_states: np.ndarray) -> np.ndarray:
    """Positions `[n, P]` after 100 steps of the same random actions in every game."""
    positions = game.new_positions(len(random_states))
    reset_games(game.rules, positions, random_states, np.ones(len(positions), np.bool_))
    rng = np.random.default_rng(2)
    for _ in range(100):
        actions = np.broadcast_to(rng.integers(4, size=6), (len(positions), 6))
        stepped(game, positions, actions.copy(), random_states)
    return positions
