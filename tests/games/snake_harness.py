"""What the tests of snakes share: boards drawn in the test, steps with given outcomes, a judge of random draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ddpzero.games import TeamGame, load_any_game, snake_pictures, snake_rules
from ddpzero.games.compiled import compiled

RECORDED_GAMES = Path(__file__).parents[1] / "data" / "snakes"

UP, DOWN, LEFT, RIGHT = range(4)
# Segments of snakes 0, 1 and 2 from the head on; "#" are the middle of snake 1, between its B and its Z.
_SEGMENTS = ("abcdefghijklm", "ABCDEFGHIJKLM", "0123456789")


def board_1v1(**parameters: int) -> TeamGame:
    """Two snakes on 6 x 8 cells, 5 beans, 50 steps: the public variant."""
    return load_any_game(
        "snakes", **({"rows": 6, "columns": 8, "snakes": 2, "steps": 50} | parameters)
    )


def drawn(
    game: TeamGame, drawing: str, headings: Sequence[int] | None = None, num_steps: int = 0
) -> np.ndarray:
    """The position of a drawing, a row of characters for each row of the board: _SEGMENTS, `*` a bean, `.` nothing.

    headings: None: from the first neck to the head. Beans are in the order of the cells.
    """
    cells = "".join(drawing.split())
    columns = game.parameters.columns
    bodies = []
    for letters in _SEGMENTS[: game.parameters.snakes]:
        body = [cells.index(letter) for letter in letters if letter in cells]
        if letters[0] == "A" and "Z" in cells:
            middle = [cell for cell, letter in enumerate(cells) if letter == "#"]
            body = [*body, *middle, cells.index("Z")]
        bodies.append(body)
    beans = [cell for cell, letter in enumerate(cells) if letter == "*"]
    if headings is None:
        headings = [_heading(game, head, neck) for head, neck, *_ in bodies]
    assert len(cells) == game.parameters.rows * columns
    return placed(game, bodies, headings, beans, num_steps)


def _heading(game: TeamGame, head: int, neck: int) -> int:
    rows, columns = game.parameters.rows, game.parameters.columns
    down = (head // columns - neck // columns) % rows
    right = (head % columns - neck % columns) % columns
    return {(rows - 1, 0): UP, (1, 0): DOWN, (0, columns - 1): LEFT, (0, 1): RIGHT}[down, right]


def placed(
    game: TeamGame,
    bodies: Sequence[Sequence[int]],
    headings: Sequence[int],
    beans: Sequence[int],
    num_steps: int = 0,
) -> np.ndarray:
    """A position with these cells, each body from the head on, beans the oldest first."""
    position = game.new_positions(1)[0]
    _place(
        game.rules,
        position,
        np.array([len(body) for body in bodies]),
        np.array([cell for body in bodies for cell in body], dtype=np.int64),
        np.array(headings, dtype=np.int64),
        np.array(beans, dtype=np.int64),
        num_steps,
    )
    return position


@compiled(cache=True)
def _place(rules, position, lengths, cells, headings, beans, num_steps):
    snake_rules.clear(rules, position)
    next_cell = 0
    for snake in range(rules.snakes):
        for _ in range(lengths[snake]):
            snake_rules.append_segment(rules, position, snake, cells[next_cell])
            next_cell += 1
        snake_rules.set_heading(rules, position, snake, headings[snake])
    for index in range(beans.shape[0]):
        snake_rules.place_bean(rules, position, beans[index])
    snake_rules.set_steps(position, num_steps)


@dataclass(frozen=True)
class After:
    """What there is to see after a step. bodies: cells, each from the head on."""

    position: np.ndarray
    rewards: list[float]
    ate: list[int]
    died: list[int]
    bodies: list[list[int]]
    headings: list[int]
    last_headings: list[int]
    beans: list[int]
    status: int


def played(
    game: TeamGame,
    position: np.ndarray,
    directions: Sequence[int],
    new_beans: Sequence[int] = (),
) -> After:
    """A step, given where each snake really goes and where new beans come."""
    position = position.copy()
    fields = np.zeros((4, game.spec.num_agents), dtype=np.int64)
    rewards = np.zeros(game.spec.num_agents, dtype=np.float32)
    status = _play(
        game.rules, position, np.array(directions), np.array(new_beans, np.int64), rewards, fields
    )
    return After(
        position,
        rewards.tolist(),
        *(row.tolist() for row in fields[:2]),
        snake_pictures.bodies(game.parameters, position),
        *(row.tolist() for row in fields[2:]),
        snake_pictures.beans(game.parameters, position),
        status,
    )


@compiled(cache=True)
def _play(rules, position, directions, new_beans, rewards, fields):
    snake_rules.move_all(rules, position, directions)
    snake_rules.settle(rules, position, rewards)
    for index in range(new_beans.shape[0]):
        snake_rules.place_bean(rules, position, new_beans[index])
    snake_rules.finish_step(rules, position)
    for snake in range(rules.snakes):
        fields[0, snake] = snake_rules.ate(rules, position, snake)
        fields[1, snake] = snake_rules.died(rules, position, snake)
        fields[2, snake] = snake_rules.heading(rules, position, snake)
        fields[3, snake] = snake_rules.last_heading(rules, position, snake)
    return snake_rules.status(position)


@compiled(cache=True)
def refill(rules, positions, random_states):
    """New beans in each of `positions` `[n, P]`."""
    for index in range(positions.shape[0]):
        snake_rules.refill_beans(rules, positions[index], random_states[index])


@compiled(cache=True)
def look_up(rules, position, covered, has_bean):
    """What a position says of each cell: covered, has_bean `[M]`."""
    for cell in range(snake_rules.num_cells(rules)):
        covered[cell] = snake_rules.covered(rules, position, cell)
        has_bean[cell] = snake_rules.has_bean(rules, position, cell)


def seems_uniform(samples: np.ndarray, num_outcomes: int) -> bool:
    """Pearson's chi-square test of whole numbers 0 .. n - 1; a fair draw fails once in a million times or less."""
    assert samples.min() >= 0 and samples.max() < num_outcomes
    assert len(samples) >= 20 * num_outcomes
    counts = np.bincount(samples, minlength=num_outcomes)
    expected = len(samples) / num_outcomes
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    degrees = num_outcomes - 1
    # Wilson and Hilferty's approximation: the cube root is nearly normal.
    normal = ((chi_square / degrees) ** (1 / 3) - (1 - 2 / (9 * degrees))) / (
        2 / (9 * degrees)
    ) ** 0.5
    return normal < 5.0
