"""Connect Four: stones fall to the lowest free cell of a column; `line` in a row wins; a full board is a draw.

Actions are columns from left to right. Cells are columns * row + column; row 0 is the top.

    position [rows * columns + columns + 2] uint8:
        cells (0 empty, 1 first player, 2 second), the number of stones in each column, plies, status
    planes [3, rows, columns]: own stones, the opponent's stones, ones (they mark the board for zero-padded
        convolutions)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games.core.geometry import Drawing, Geometry, Label, inner_circles, rect, squares
from ddpzero.games.core.spec import GameSpec
from ddpzero.games.shared.boards import COLUMN_LETTERS, draw_board
from ddpzero.games.shared.lines import cells_in_lines, makes_line
from ddpzero.games.shared.stones import DRAW, GOING_ON, observe_stones, return_of_status


@dataclass(frozen=True)
class Parameters:
    """rows, columns: board size, 2..15 each. line: number of stones in a row that wins."""

    rows: int = 6
    columns: int = 7
    line: int = 4

    def __post_init__(self) -> None:
        for name in ("rows", "columns"):
            if not 2 <= getattr(self, name) <= 15:
                raise ValueError(
                    f"game.{name}={getattr(self, name)} is outside 2..15: choose a size between them."
                )
        if not 2 <= self.line <= max(self.rows, self.columns):
            raise ValueError(
                f"game.line={self.line} is outside 2..{max(self.rows, self.columns)}: a row must fit on "
                f"the board of game.rows={self.rows} by game.columns={self.columns}."
            )

    def variables(self) -> dict[str, int]:
        return {"line": self.line}


def spec(parameters: Parameters) -> GameSpec:
    rows, columns = parameters.rows, parameters.columns
    cells = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    actions = np.arange(columns, dtype=np.int32)
    return GameSpec(
        num_actions=columns,
        position_size=rows * columns + columns + 2,
        position_dtype=np.dtype(np.uint8),
        num_planes=3,
        board_shape=(rows, columns),
        max_plies=rows * columns,
        cell_symmetries=np.stack([cells.reshape(-1), cells[:, ::-1].reshape(-1)]),
        action_symmetries=np.stack([actions, actions[::-1]]),
    )


def initial_position(rules, position):
    position[:] = 0


def legal_actions(rules, position, legal):
    num_cells = rules.rows * rules.columns
    going_on = position[num_cells + rules.columns + 1] == GOING_ON
    for column in range(rules.columns):
        legal[column] = going_on and position[num_cells + column] < rules.rows


def apply_action(rules, position, action):
    num_cells = rules.rows * rules.columns
    plies, status = num_cells + rules.columns, num_cells + rules.columns + 1
    player = position[plies] & 1
    row = rules.rows - 1 - position[num_cells + action]
    position[row * rules.columns + action] = player + 1
    position[num_cells + action] += 1
    position[plies] += 1
    if makes_line(position, rules.rows, rules.columns, row, action, rules.line, False):
        position[status] = player + 1
    elif position[plies] == num_cells:
        position[status] = DRAW


def current_player(rules, position):
    return position[rules.rows * rules.columns + rules.columns] & 1


def is_terminal(rules, position):
    return position[rules.rows * rules.columns + rules.columns + 1] != GOING_ON


def player_return(rules, position, player):
    return return_of_status(position[rules.rows * rules.columns + rules.columns + 1], player)


def observe(rules, position, planes):
    num_cells = rules.rows * rules.columns
    observe_stones(position, num_cells, position[num_cells + rules.columns] & 1, planes)


def action_name(parameters: Parameters, action: int) -> str:
    return COLUMN_LETTERS[action]


def parse_action(parameters: Parameters, text: str) -> int:
    """Return the column named by its letter in either case, or by its number counted from 1."""
    cleaned = text.strip().lower()
    column = COLUMN_LETTERS.find(cleaned) if len(cleaned) == 1 else -1
    if cleaned.isdecimal():
        column = int(cleaned) - 1
    if not 0 <= column < parameters.columns:
        last = COLUMN_LETTERS[parameters.columns - 1]
        raise ValueError(
            f"{text!r} is not a column: give a letter from a to {last} or a number from 1 to "
            f"{parameters.columns}."
        )
    return column


def board(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    return position[: parameters.rows * parameters.columns]


def winning_cells(parameters: Parameters, position: np.ndarray) -> list[int]:
    return cells_in_lines(position, parameters.rows, parameters.columns, parameters.line)


def geometry(parameters: Parameters) -> Geometry:
    """A move is a click anywhere in its column."""
    rows, columns = parameters.rows, parameters.columns
    holes = inner_circles(squares(rows, columns), 0.42)
    return Geometry(
        width=columns,
        height=rows,
        background=(
            Drawing(rect(0, 0, columns, rows), "field"),
            *(Drawing(hole, "dot") for hole in holes),
        ),
        cells=holes,
        actions=tuple(rect(column, 0, 1, rows) for column in range(columns)),
        labels=tuple(
            Label(column + 0.5, -0.4, COLUMN_LETTERS[column]) for column in range(columns)
        ),
        pieces="discs",
        surface="blue",
    )


def render(parameters: Parameters, position: np.ndarray, last_action: int | None) -> str:
    num_cells = parameters.rows * parameters.columns
    last_cell = None
    if last_action is not None:
        row = parameters.rows - int(position[num_cells + last_action])
        last_cell = row * parameters.columns + last_action
    return draw_board(position, parameters.rows, parameters.columns, ".XO", last_cell)
