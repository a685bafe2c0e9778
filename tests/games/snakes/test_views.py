"""What an agent sees of a game of snakes: that it does not depend on where on the torus, in which direction and in
which team it plays; what it says of drawn boards; and that the sets of bits say what plain sets do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

from ddpzero.games import TeamGame
from ddpzero.games.core.team_lockstep import observe_features_of, observe_planes_of
from ddpzero.games.snakes.bits import HORIZON
from tests.games.snakes.harness import (
    DOWN,
    LEFT,
    RIGHT,
    UP,
    board_1v1,
    board_2v2,
    drawn,
    look_at,
    placed,
    played,
    positions_of_games,
    snakes_game,
)

# Features of an agent: of itself, of each of three moves, of each of five beans, of each other snake.
OWN, MOVE, BEAN, SNAKE = 5, 16, 6, 9
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
        positions = some_positions()
        shifted = [moved(game, position, shift(down, right)) for position in positions]
        assert_equal(seen_by(game, shifted, team, observe), seen_by(game, positions, team, observe))


def test_features_are_the_same_in_the_opposite_direction():
    game = odd_board()
    positions = some_positions()
    turned = [moved(game, position, upside_down, (DOWN, UP, RIGHT, LEFT)) for position in positions]
    before, after = (seen_by(game, those, 0, "features") for those in (positions, turned))
    assert np.array_equal(after.entries, before.entries)
    assert np.array_equal(after.legal, before.legal)
    assert np.array_equal(after.actions, before.actions ^ 1)


def test_features_of_the_mirrored_board_have_left_and_right_exchanged():
    game = odd_board()
    positions = some_positions()
    mirrored = [moved(game, position, mirror, (UP, DOWN, RIGHT, LEFT)) for position in positions]
    before, after = (seen_by(game, those, 0, "features") for those in (positions, mirrored))
    expected = before.entries.copy()
    _, of_moves, of_beans, of_snakes = split(expected)
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
    positions = some_positions()
    mirrored = [moved(game, position, mirror, (UP, DOWN, RIGHT, LEFT)) for position in positions]
    before, after = (seen_by(game, those, 0, "planes") for those in (positions, mirrored))
    assert np.array_equal(after.entries, before.entries[..., ::-1])
    assert np.array_equal(after.legal, before.legal[..., [UP, DOWN, RIGHT, LEFT]])


@pytest.mark.parametrize("observe", ["features", "planes"])
def test_a_view_does_not_depend_on_the_number_of_the_team(observe):
    game = odd_board()
    positions = some_positions()
    swapped = [moved(game, position, order=(3, 4, 5, 0, 1, 2)) for position in positions]
    assert_equal(seen_by(game, swapped, 0, observe), seen_by(game, positions, 1, observe))
    assert_equal(seen_by(game, swapped, 1, observe), seen_by(game, positions, 0, observe))


@pytest.mark.parametrize("observe", ["features", "planes"])
def test_a_view_does_not_depend_on_the_place_in_the_team(observe):
    game = odd_board()
    positions = some_positions()
    rotated = [moved(game, position, order=(1, 2, 0, 3, 4, 5)) for position in positions]
    before, after = (seen_by(game, those, 0, observe) for those in (positions, rotated))
    assert_equal(after, View(*(np.roll(array, -1, axis=1) for array in before)))


@pytest.mark.parametrize("observe", ["features", "planes"])
def test_a_mate_is_seen_differently_from_an_enemy(observe):
    game = odd_board()
    positions = some_positions()
    exchanged = [moved(game, position, order=(0, 4, 2, 3, 1, 5)) for position in positions]
    before, after = (
        seen_by(game, those, 0, observe).entries[:, 0] for those in (positions, exchanged)
    )
    assert (before != after).reshape(len(positions), -1).any(axis=1).all()


def test_agents_of_a_team_see_different_things():
    game = odd_board()
    for observe in ("features", "planes"):
        entries = seen_by(game, some_positions(), 0, observe).entries
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


def test_neither_the_reverse_nor_a_body_is_legal_but_a_tail_is():
    game = board_2v2()
    position = drawn(
        game,
        """
        cba3....
        .012....
        ........
        .....C..
        .....BA.
        ....nopq
        """,
    )
    assert legal_actions(game, position) == [{UP, RIGHT}, {UP, RIGHT}]


def test_where_all_ways_are_blocked_all_but_the_reverse_are_legal():
    game = board_1v1()
    position = drawn(game, "ABC..... baD....c GFE..... H....... ........ ........")
    assert legal_actions(game, position) == [{UP, DOWN, RIGHT}]


def test_what_is_not_legal_is_death():
    positions = some_positions()
    game = odd_board()
    legal = [legal_actions(game, position) for position in positions]
    rng = np.random.default_rng(0)
    num_forbidden = 0
    for position, of_snakes in zip(positions, legal, strict=True):
        seen = look_at(game, position)
        for snake, allowed in enumerate(of_snakes):
            assert allowed
            for action in {UP, DOWN, LEFT, RIGHT} - allowed - {seen.headings[snake] ^ 1}:
                directions = rng.integers(4, size=6)
                directions[snake] = action
                assert played(game, position, directions).died[snake]
                num_forbidden += 1
    assert num_forbidden > 10


# ------------------------------------------------------------------------------ features of boards


def test_features_begin_with_length_time_and_points():
    game = board_2v2()
    drawing = "cba..... def..... ........ ..0..... ..1.CBA. ..2.nop."
    position = drawn(game, drawing, num_steps=40)
    (of_a, of_mate), (of_0, _) = (features_of(game, position, team) for team in (0, 1))
    assert np.allclose(of_a[:OWN], [6 / 20, 1 - 40 / 50, 10 / 20, 3 / 20, 3 / 60])
    assert np.allclose(of_mate[:OWN], [3 / 20, 1 - 40 / 50, 10 / 20, 3 / 20, 3 / 60])
    assert np.allclose(of_0[:OWN], [3 / 20, 1 - 40 / 50, 10 / 20, -3 / 20, 3 / 60])
    early = drawn(game, drawing, num_steps=10)
    assert np.allclose(features_of(game, early, 0)[0, 1:3], [0.8, 1.0])


def test_features_tell_for_how_long_a_body_is_in_the_way():
    game = board_2v2()
    position = drawn(
        game,
        """
        ........
        ...C....
        ...BA...
        cba.....
        .3210...
        .....nop
        """,
    )
    _, of_moves, _, _ = split(features_of(game, position, 0)[0])
    assert of_moves[STRAIGHT, 0] == 1
    # Segment 2 of 4 leaves its cell with the second step from now.
    assert np.allclose(of_moves[RIGHTWARDS], [0, 0.1, *[0] * 14])
    assert of_moves[LEFTWARDS, 0] == 1


def test_features_tell_who_else_may_come():
    game = board_2v2()
    position = drawn(
        game,
        """
        ...A....
        ...BC...
        cba.nop.
        ...0....
        ...12345
        ........
        """,
    )
    _, of_moves, _, _ = split(features_of(game, position, 0)[0])
    # Both enemies can be at the cell ahead with their next step; one has 3 points to lose.
    assert np.allclose(of_moves[STRAIGHT, 3:6], [0, 1, 0.3])
    _, of_moves, _, _ = split(features_of(game, moved(game, position, order=(0, 2, 1, 3)), 0)[0])
    assert np.allclose(of_moves[STRAIGHT, 3:6], [0.5, 0.5, 0])


def test_features_tell_of_tails_that_may_stay():
    game = board_2v2()
    board = """
        ...C....
        ...B....
        ...A*...
        ........
        ..cba321
        .pon...0
        """
    # Ahead lies an enemy's tail, and nothing that it might eat.
    position = drawn(game, board)
    _, of_moves, _, _ = split(features_of(game, position, 0)[0])
    assert of_moves[:, 14:].tolist() == [[0, 0], [0, 0], [0, 0]]
    position = drawn(game, board.replace("...0", "..*0"))
    _, of_moves, _, _ = split(features_of(game, position, 0)[0])
    assert of_moves[STRAIGHT, 14:].tolist() == [0, 1]
    swapped = moved(game, position, order=(0, 2, 1, 3))
    _, of_moves, _, _ = split(features_of(game, swapped, 0)[0])
    assert of_moves[STRAIGHT, 14:].tolist() == [1, 0]


def test_features_tell_of_the_nearest_beans_first():
    game = board_2v2()
    position = drawn(
        game,
        """
        *.......
        ..012...
        ..a..*..
        ..b.....
        *.c..CBA
        ....nop.
        """,
    )
    _, _, of_beans, _ = split(features_of(game, position, 0)[0])
    # From a, which heads up: forward, to the right, own steps, more steps of A, of 0 or n.
    expected = [
        [1, 0, 3 / 8, 0.3, 0.1, 0.1],
        [1, 2 / 8, -2 / 8, 0.4, -0.1, -0.1],
        [1, -2 / 8, -2 / 8, 0.4, -0.3, 0.1],
    ]
    assert np.allclose(of_beans[:3], expected)
    assert not of_beans[3:].any()


def test_features_tell_of_mates_then_of_the_others():
    game = board_2v2()
    position = drawn(
        game,
        """
        ........
        .0123...
        ........
        ..abcC..
        .....B..
        nop..A..
        """,
    )
    _, _, _, of_snakes = split(features_of(game, position, 0)[0])
    # From a, which heads left: right is up.
    mate = [-3 / 8, -2 / 8, -3 / 8, 0, 3 / 20, 0, 0, 0, 1]
    first = [1 / 8, 2 / 8, -2 / 8, 2 / 8, 4 / 20, 1, 0, 0, 0]
    second = [2 / 8, -2 / 8, 0, -2 / 8, 3 / 20, 1, 0, 0, 0]
    assert np.allclose(of_snakes, [mate, first, second])
    _, _, _, of_snakes = split(features_of(game, position, 1)[0])
    # From 0: its mate n, then a, then A, the only one that heads down.
    assert np.allclose(8 * of_snakes[:2, :2], [[1, 2], [-1, -2]])
    assert of_snakes[:, 8].tolist() == [0, 0, 1]


# -------------------------------------------------------------------------- features of whole games


@pytest.mark.parametrize(
    "parameters",
    [
        {"rows": 9, "columns": 19},
        {},
        {"rows": 3, "columns": 32, "snakes": 4, "teams": 4, "beans": 40},  # full words
    ],
    ids=["odd", "public", "wide"],
)
def test_moves_and_beans_are_what_a_plain_search_finds(parameters):
    game = snakes_game(**parameters)
    for position in positions_of_games(game, num_games=2, seed=3, every=10):
        ahead = LookAhead(game, position)
        size = game.spec.agents_per_team
        for team in range(game.spec.num_teams):
            features = features_of(game, position, team)
            for agent in range(size):
                _, of_moves, of_beans, _ = split(features[agent])
                assert np.allclose(of_moves, ahead.moves(team * size + agent))
                assert np.allclose(of_beans[:, [0, 3, 4, 5]], ahead.beans(team * size + agent))


class LookAhead:
    """What bits.py and views.py find out about a position, with sets of cells in place of words of bits."""

    def __init__(self, game: TeamGame, position: np.ndarray):
        self.game = game
        self.seen = look_at(game, position)
        board = range(game.parameters.rows * game.parameters.columns)
        # Segment i of n leaves its cell with step n - i from now.
        leaves_at = {
            cell: len(body) - index
            for body in self.seen.bodies
            for index, cell in reversed(list(enumerate(body)))
        }
        self.free = [
            {cell for cell in board if leaves_at.get(cell, 0) <= t} for t in range(HORIZON + 1)
        ]
        self.reach = [[{body[0]}] for body in self.seen.bodies]
        for sets in self.reach:
            for t in range(1, HORIZON + 1):
                sets.append(sets[-1] | self.around(sets[-1]) & self.free[t])

    def around(self, cells: set[int]) -> set[int]:
        return {neighbor(self.game, cell, direction) for cell in cells for direction in range(4)}

    def is_mate(self, snake: int, other: int) -> bool:
        return snake // self.game.spec.agents_per_team == other // self.game.spec.agents_per_team

    def others(self, snake: int, t: int) -> set[int]:
        """Where another snake can be within t steps."""
        return {cell for s, sets in enumerate(self.reach) if s != snake for cell in sets[t]}

    def may_eat(self, snake: int) -> bool:
        return bool(self.around({self.seen.bodies[snake][0]}) & set(self.seen.beans))

    def moves(self, snake: int) -> np.ndarray:
        turns = {UP: (UP, RIGHT, LEFT), DOWN: (DOWN, LEFT, RIGHT)}
        turns |= {LEFT: (LEFT, UP, DOWN), RIGHT: (RIGHT, DOWN, UP)}
        return np.array([self.move(snake, d) for d in turns[self.seen.headings[snake]]])

    def move(self, snake: int, direction: int) -> np.ndarray:
        found = np.zeros(MOVE)
        cell = neighbor(self.game, self.seen.bodies[snake][0], direction)
        release = next((t for t in range(HORIZON) if cell in self.free[t + 1]), HORIZON)
        if release > 0:
            found[1] = release / HORIZON
            return found
        found[0] = 1
        found[2] = cell in self.seen.beans
        for other, sets in enumerate(self.reach):
            if other != snake and cell in sets[1]:
                found[3 if self.is_mate(snake, other) else 4] += 0.5
                if not self.is_mate(snake, other):
                    found[5] = max(found[5], (len(self.seen.bodies[other]) - 3) / 10)
        for other, body in enumerate(self.seen.bodies):
            if other != snake and body[-1] == cell and self.may_eat(other):
                found[14 if self.is_mate(snake, other) else 15] = 1
        room, beans = [set(), {cell}], set(self.seen.beans)
        for t in range(2, HORIZON + 1):
            room.append(room[-1] | self.around(room[-1]) & self.free[t])
        found[6:9] = (
            len(room[4]) / 25,
            len(room[8]) / 80,
            len(room[HORIZON]) / len(self.seen.covered),
        )
        found[9] = max([1 / t for t in range(1, HORIZON + 1) if room[t] & beans], default=0)
        if cell in self.others(snake, 1):
            return found
        own = [set(), {cell}]
        for t in range(2, HORIZON + 1):
            grown = own[-1] | self.around(own[-1]) & self.free[t] - self.others(snake, t)
            if grown == own[-1]:
                break
            own.append(grown)
        found[10] = len(own[min(4, len(own) - 1)]) / 25
        found[11] = len(own[-1]) / 60
        found[12] = max([1 / t for t in range(1, len(own)) if own[t] & beans], default=0)
        found[13] = len(own[-1] & beans) / 5
        return found

    def steps_to(self, snake: int, bean: int) -> int:
        return next((t for t in range(1, HORIZON + 1) if bean in self.reach[snake][t]), HORIZON + 1)

    def beans(self, snake: int) -> np.ndarray:
        """Of the nearest five: 1, own steps, and how many more the nearest mate and enemy need."""
        found = np.zeros((5, 4))
        nearest = sorted(self.seen.beans, key=lambda bean: self.steps_to(snake, bean))
        for row, bean in zip(found, nearest, strict=False):
            own = self.steps_to(snake, bean)
            steps: dict[bool, list[int]] = {True: [HORIZON + 1], False: [HORIZON + 1]}
            for other in range(len(self.reach)):
                if other != snake:
                    steps[self.is_mate(snake, other)].append(self.steps_to(other, bean))
            row[:] = (
                1,
                own / HORIZON,
                (min(steps[True]) - own) / HORIZON,
                (min(steps[False]) - own) / HORIZON,
            )
        return found


# ---------------------------------------------------------------------------------- planes of boards


def test_planes_show_bodies_by_the_steps_they_stay_heads_and_the_cells_before_them():
    game = board_2v2()
    position = drawn(
        game,
        """
        cba.....
        *.......
        ....0123
        ........
        ..A.....
        ..BC.nop
        """,
        num_steps=10,
    )
    planes = seen_by(game, [position], 0, "planes").entries[0, 0]
    # The own head, at row 0 and column 2, is in the middle: row 3 and column 4.
    shown = [
        {(int(r), int(c)): int(plane[r, c]) for r, c in np.argwhere(plane)} for plane in planes
    ]
    assert shown[0] == {(3, 4): 48, (3, 3): 32, (3, 2): 16}
    assert shown[1] == {(1, 4): 48, (2, 4): 32, (2, 5): 16}
    enemies = {(5, 6): 64, (5, 7): 48, (5, 0): 32, (5, 1): 16, (2, 7): 48, (2, 0): 32, (2, 1): 16}
    assert shown[2] == enemies
    assert shown[3] == {(1, 4): 48}
    assert shown[4] == {(5, 6): 64, (2, 7): 48}
    assert shown[5] == {(3, 5): 255}
    assert shown[6] == {(0, 4): 255}
    assert shown[7] == {(5, 5): 255, (2, 6): 255}
    assert shown[8] == {(4, 2): 255}
    assert [sorted(set(plane.ravel().tolist())) for plane in planes[9:]] == [
        [8 * 3],
        [128 + 4 * (6 - 7)],
        [255 * 40 // 50],
    ]


def test_planes_are_seen_from_each_agents_own_head():
    game = odd_board()
    positions = some_positions()
    for team in (0, 1):
        entries = seen_by(game, positions, team, "planes").entries
        for position, of_agents in zip(positions, entries, strict=True):
            seen = look_at(game, position)
            bodies, beans = seen.bodies[3 * team : 3 * team + 3], seen.beans
            for body, planes in zip(bodies, of_agents, strict=True):
                board = np.zeros(9 * 19, np.int64)
                row, column = divmod(body[0], 19)
                perhaps = 8 * any(
                    neighbor(game, body[0], direction) in beans for direction in range(4)
                )
                board[body] = [
                    min(255, 16 * (len(body) - index) + perhaps) for index in range(len(body))
                ]
                rolled = np.roll(board.reshape(9, 19), (4 - row, 9 - column), axis=(0, 1))
                assert np.array_equal(planes[0], rolled)


# --------------------------------------------------------------------------------------- helpers


class View(NamedTuple):
    """Of `n` positions: entries `[n, K, ...]`; legal, actions `[n, K, A]`."""

    entries: np.ndarray
    legal: np.ndarray
    actions: np.ndarray


def seen_by(
    game: TeamGame, positions: np.ndarray | Sequence[np.ndarray], team: int, observe: str
) -> View:
    spec, stacked = game.spec, np.array(positions)
    agents, teams = (len(stacked), spec.agents_per_team), np.full(len(stacked), team)
    legal = np.zeros((*agents, spec.num_actions), np.bool_)
    actions = np.zeros((*agents, spec.num_actions), np.int64)
    if observe == "planes":
        planes = np.zeros((*agents, spec.num_planes, *spec.board_shape), np.uint8)
        observe_planes_of(game.rules, stacked, teams, planes, legal, actions)
        return View(planes, legal, actions)
    features = np.zeros((*agents, spec.num_features), np.float32)
    scratch = np.zeros(spec.scratch_shape, np.uint32)
    observe_features_of(game.rules, stacked, teams, scratch, features, legal, actions)
    return View(features, legal, actions)


def features_of(game: TeamGame, position: np.ndarray, team: int) -> np.ndarray:
    """`[K, F]`."""
    return seen_by(game, [position], team, "features").entries[0]


def split(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Views: of itself `[..., 5]`, of moves `[..., 3, 14]`, of beans `[..., 5, 6]`, of snakes `[..., S - 1, 9]`."""
    own, of_moves, of_beans, of_snakes = np.split(
        features, np.cumsum([OWN, 3 * MOVE, 5 * BEAN]), axis=-1
    )
    leading = features.shape[:-1]
    return (
        own,
        of_moves.reshape(*leading, 3, MOVE),
        of_beans.reshape(*leading, 5, BEAN),
        of_snakes.reshape(*leading, -1, SNAKE),
    )


@cache
def some_positions() -> np.ndarray:
    """`[n, P]`, of the odd board, for reading only."""
    return positions_of_games(odd_board(), num_games=4, seed=1, every=20)


def neighbor(game: TeamGame, cell: int, direction: int) -> int:
    rows, columns = game.parameters.rows, game.parameters.columns
    down, right = {UP: (-1, 0), DOWN: (1, 0), LEFT: (0, -1), RIGHT: (0, 1)}[direction]
    return (cell // columns + down) % rows * columns + (cell + right) % columns


# Where the cell of a row and column goes to, on a board of so many rows and columns.
CellMap = Callable[[int, int, int, int], tuple[int, int]]


def shift(down: int, right: int) -> CellMap:
    return lambda row, column, rows, columns: ((row + down) % rows, (column + right) % columns)


def upside_down(row: int, column: int, rows: int, columns: int) -> tuple[int, int]:
    return rows - 1 - row, columns - 1 - column


def mirror(row: int, column: int, rows: int, columns: int) -> tuple[int, int]:
    return row, columns - 1 - column


def moved(
    game: TeamGame,
    position: np.ndarray,
    cell_map: CellMap | None = None,
    directions: Sequence[int] = (UP, DOWN, LEFT, RIGHT),
    order: Sequence[int] | None = None,
) -> np.ndarray:
    """The position with cells, headings (`directions`: what each becomes) and snakes (`order`: of the old) changed."""
    seen, board = look_at(game, position), game.parameters

    def of_cell(cell: int) -> int:
        if cell_map is None:
            return cell
        row, column = divmod(cell, board.columns)
        row, column = cell_map(row, column, board.rows, board.columns)
        return row * board.columns + column

    snakes = range(board.snakes) if order is None else order
    return placed(
        game,
        [[of_cell(cell) for cell in seen.bodies[snake]] for snake in snakes],
        [directions[seen.headings[snake]] for snake in snakes],
        [of_cell(bean) for bean in seen.beans],
        seen.num_steps,
    )


def assert_equal(one: View, other: View) -> None:
    for array, other_array in zip(one, other, strict=True):
        assert np.array_equal(array, other_array)
