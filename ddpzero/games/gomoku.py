"""Gomoku: the first to put `line` stones in a row wins; a full board is a draw.

Freestyle rules by default: longer rows win too; with `exact_five` they do not count, for either player.
Actions are cells, size * row + column, row 0 on top.

    position [size^2 + 2] int16:  cells (0 empty, 1 first player, 2 second), then plies, status
    planes   [3, size, size]:     own stones, the opponent's stones, ones (marks the board for zero-padded convolutions)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games.boards import draw_board, parse_square, rectangle_symmetries, square_name
from ddpzero.games.lines import makes_line
from ddpzero.games.spec import GameSpec

DRAW = 3  # status: 0 going on, 1 or 2 that player has won, 3 draw


@dataclass(frozen=True)
class Parameters:
    """size: cells along an edge, 3..25. line: stones in a row that win. exact_five: longer rows do not win."""

    size: int = 15
    line: int = 5
    exact_five: bool = False

    def __post_init__(self) -> None:
        if not 3 <= self.size <= 25:
            raise ValueError(f"game.size={self.size} is outside 3..25: choose a size between them.")
        if not 3 <= self.line <= self.size:
            raise ValueError(
                f"game.line={self.line} is outside 3..{self.size}: a row must fit on the board of "
                f"game.size={self.size}."
            )


def spec(parameters: Parameters) -> GameSpec:
    num_cells = parameters.size**2
    symmetries = rectangle_symmetries(parameters.size, parameters.size)
    return GameSpec(
        num_actions=num_cells,
        position_size=num_cells + 2,
        position_dtype=np.dtype(np.int16),
        num_planes=3,
        board_shape=(parameters.size, parameters.size),
        max_plies=num_cells,
        cell_symmetries=symmetries,
        action_symmetries=symmetries,
    )


def initial_position(rules, position):
    position[:] = 0


def legal_actions(rules, position, legal):
    num_cells = rules.size * rules.size
    if position[num_cells + 1] == 0:
        for cell in range(num_cells):
            legal[cell] = position[cell] == 0
    else:
        legal[:] = False


def apply_action(rules, position, action):
    size = rules.size
    plies, status = size * size, size * size + 1
    player = position[plies] & 1
    position[action] = player + 1
    position[plies] += 1
    if makes_line(
        position, size, size, action // size, action % size, rules.line, rules.exact_five != 0
    ):
        position[status] = player + 1
    elif position[plies] == size * size:
        position[status] = DRAW


def current_player(rules, position):
    return position[rules.size * rules.size] & 1


def is_terminal(rules, position):
    return position[rules.size * rules.size + 1] != 0


def player_return(rules, position, player):
    status = position[rules.size * rules.size + 1]
    if status == DRAW:
        return 0.0
    return 1.0 if status == player + 1 else -1.0


def observe(rules, position, planes):
    num_cells = rules.size * rules.size
    own = (position[num_cells] & 1) + 1
    for cell in range(num_cells):
        planes[cell] = position[cell] == own
    for cell in range(num_cells):
        planes[num_cells + cell] = position[cell] == 3 - own
    planes[2 * num_cells :] = 1


def action_name(parameters: Parameters, action: int) -> str:
    return square_name(action // parameters.size, action % parameters.size, parameters.size)


def parse_action(parameters: Parameters, text: str) -> int:
    return parse_square(text, parameters.size, parameters.size)


def board(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    return position[: parameters.size**2].astype(np.uint8)


def render(parameters: Parameters, position: np.ndarray, last_action: int | None) -> str:
    return draw_board(position, parameters.size, parameters.size, ".XO", last_action)
