"""Gomoku: the first player with `line` stones in a row wins; a full board is a draw.

By default freestyle rules apply: longer rows win, too. With `exact_five` they do not count, for either player.
Actions are cells, size * row + column; row 0 is the top.

    position [size^2 + 2 + history] uint8, or int16 from size 16 on: cells (0 empty, 1 first player, 2 second), plies,
        status, the last moves, newest first, each as its action + 1, 0 for none
    planes [3 + history, size, size]: own stones, the opponent's stones, ones (they mark the board for zero-padded
        convolutions), then one for the cell of each of the last moves, newest first
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpzero.games.core.geometry import (
    Geometry,
    inner_circles,
    lines_through_squares,
    names_of_squares,
    squares,
)
from ddpzero.games.core.spec import GameSpec
from ddpzero.games.shared.boards import (
    COLUMN_LETTERS,
    draw_board,
    parse_square,
    rectangle_symmetries,
    sgf_letters,
    sgf_size,
    square_name,
)
from ddpzero.games.shared.lines import cells_in_lines, makes_line
from ddpzero.games.shared.stones import DRAW, GOING_ON, observe_stones, return_of_status

_NUM_PLANES = 3  # without history
_MAX_HISTORY = 8
# Of SGF.
_RULES = re.compile(r"(exactly )?(\d{1,2}) in a row")


@dataclass(frozen=True)
class Parameters:
    """size: cells along an edge, 3..25. line: number of stones in a row that wins. exact_five: longer rows do not win.

    history: number of last moves that the network sees, 0..8; they direct its attention to where the fight is.
    """

    size: int = 15
    line: int = 5
    exact_five: bool = False
    history: int = 2

    def __post_init__(self) -> None:
        if not 3 <= self.size <= 25:
            raise ValueError(f"game.size={self.size} is outside 3..25: choose a size between them.")
        if not 3 <= self.line <= self.size:
            raise ValueError(
                f"game.line={self.line} is outside 3..{self.size}: a row must fit on the board of "
                f"game.size={self.size}."
            )
        if not 0 <= self.history <= _MAX_HISTORY:
            raise ValueError(f"game.history={self.history} is outside 0..{_MAX_HISTORY}.")

    def variables(self) -> dict[str, int]:
        return {"line": self.line, "exact_five": self.exact_five}


def spec(parameters: Parameters) -> GameSpec:
    num_cells = parameters.size**2
    symmetries = rectangle_symmetries(parameters.size, parameters.size)
    return GameSpec(
        num_actions=num_cells,
        position_size=num_cells + 2 + parameters.history,
        # The dtype must hold plies and actions; small positions are copied faster.
        position_dtype=np.dtype(np.uint8 if num_cells <= 255 else np.int16),
        num_planes=_NUM_PLANES + parameters.history,
        board_shape=(parameters.size, parameters.size),
        max_plies=num_cells,
        cell_symmetries=symmetries,
        action_symmetries=symmetries,
        action_cells=np.arange(num_cells, dtype=np.int32),
    )


def initial_position(rules, position):
    position[:] = 0


def legal_actions(rules, position, legal):
    num_cells = rules.size * rules.size
    if position[num_cells + 1] == GOING_ON:
        for cell in range(num_cells):
            legal[cell] = position[cell] == 0
    else:
        legal[:] = False


def apply_action(rules, position, action):
    size, num_cells = rules.size, rules.size * rules.size
    plies, status = num_cells, num_cells + 1
    row, column = action // size, action % size
    player = position[plies] & 1
    position[action] = player + 1
    position[plies] += 1
    recent = num_cells + 2
    for age in range(rules.history - 1, 0, -1):
        position[recent + age] = position[recent + age - 1]
    if rules.history > 0:
        position[recent] = action + 1
    if makes_line(position, size, size, row, column, rules.line, rules.exact_five != 0):
        position[status] = player + 1
    elif position[plies] == num_cells:
        position[status] = DRAW


def current_player(rules, position):
    return position[rules.size * rules.size] & 1


def is_terminal(rules, position):
    return position[rules.size * rules.size + 1] != GOING_ON


def player_return(rules, position, player):
    return return_of_status(position[rules.size * rules.size + 1], player)


def observe(rules, position, planes):
    num_cells = rules.size * rules.size
    observe_stones(position, num_cells, position[num_cells] & 1, planes)
    planes[_NUM_PLANES * num_cells :] = 0
    for age in range(rules.history):
        action = int(position[num_cells + 2 + age]) - 1
        if action >= 0:
            planes[(_NUM_PLANES + age) * num_cells + action] = 1


def action_name(parameters: Parameters, action: int) -> str:
    return square_name(action // parameters.size, action % parameters.size, parameters.size)


def sgf_header(parameters: Parameters) -> str:
    """Return the properties of https://www.red-bean.com/sgf: game 4."""
    exactly = "exactly " if parameters.exact_five else ""
    return f"GM[4]SZ[{parameters.size}]RU[{exactly}{parameters.line} in a row]"


def sgf_point(parameters: Parameters, action: int) -> str:
    return sgf_letters(action // parameters.size, action % parameters.size)


def sgf_parameters(
    parameters: Parameters, properties: Mapping[str, Sequence[str]], moves: Sequence[str]
) -> dict[str, Any]:
    """Return the size, and the rules if the file names them as sgf_header does."""
    found: dict[str, Any] = {"size": sgf_size(properties, parameters.size)}
    rules = _RULES.fullmatch((properties.get("RU") or [""])[0])
    if rules is not None:
        found |= {"exact_five": rules[1] is not None, "line": int(rules[2])}
    return found


def parse_action(parameters: Parameters, text: str) -> int:
    return parse_square(text, parameters.size, parameters.size)


def board(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    return position[: parameters.size**2]


def winning_cells(parameters: Parameters, position: np.ndarray) -> list[int]:
    size = parameters.size
    return cells_in_lines(position, size, size, parameters.line, parameters.exact_five)


def geometry(parameters: Parameters) -> Geometry:
    size = parameters.size
    cells = squares(size, size)
    return Geometry(
        width=size,
        height=size,
        background=lines_through_squares(size),
        cells=inner_circles(cells),
        actions=cells,
        labels=names_of_squares(size, size, COLUMN_LETTERS),
        pieces="stones",
        surface="wood",
    )


def render(parameters: Parameters, position: np.ndarray, last_action: int | None) -> str:
    return draw_board(position, parameters.size, parameters.size, ".XO", last_action)
