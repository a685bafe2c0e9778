"""Tic-tac-toe: three in a row on a 3 x 3 board wins; a full board is a draw.

Actions are cells, 3 * row + column; row 0 is the top.

    position [11] uint8: cells (0 empty, 1 first player, 2 second), plies, status
    planes [3, 3, 3]: see stones.observe_stones
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games.core.geometry import Drawing, Geometry, line, squares
from ddpzero.games.core.spec import GameSpec
from ddpzero.games.shared.boards import draw_board, parse_square, rectangle_symmetries, square_name
from ddpzero.games.shared.lines import cells_in_lines, makes_line
from ddpzero.games.shared.stones import DRAW, GOING_ON, observe_stones, return_of_status

NUM_CELLS = 9
# Indices of entries of a position.
PLIES = 9
STATUS = 10


@dataclass(frozen=True)
class Parameters:
    """Tic-tac-toe has no parameters."""


def spec(parameters: Parameters) -> GameSpec:
    symmetries = rectangle_symmetries(3, 3)
    return GameSpec(
        num_actions=9,
        position_size=11,
        position_dtype=np.dtype(np.uint8),
        num_planes=3,
        board_shape=(3, 3),
        max_plies=9,
        cell_symmetries=symmetries,
        action_symmetries=symmetries,
        action_cells=np.arange(NUM_CELLS, dtype=np.int32),
    )


def initial_position(rules, position):
    position[:] = 0


def legal_actions(rules, position, legal):
    going_on = position[STATUS] == GOING_ON
    for cell in range(NUM_CELLS):
        legal[cell] = going_on and position[cell] == 0


def apply_action(rules, position, action):
    player = position[PLIES] & 1
    position[action] = player + 1
    position[PLIES] += 1
    if makes_line(position, 3, 3, action // 3, action % 3, 3, False):
        position[STATUS] = player + 1
    elif position[PLIES] == NUM_CELLS:
        position[STATUS] = DRAW


def current_player(rules, position):
    return position[PLIES] & 1


def is_terminal(rules, position):
    return position[STATUS] != GOING_ON


def player_return(rules, position, player):
    return return_of_status(position[STATUS], player)


def observe(rules, position, planes):
    observe_stones(position, NUM_CELLS, position[PLIES] & 1, planes)


def action_name(parameters: Parameters, action: int) -> str:
    return square_name(action // 3, action % 3, 3)


def parse_action(parameters: Parameters, text: str) -> int:
    return parse_square(text, 3, 3)


def board(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    return position[:NUM_CELLS]


def winning_cells(parameters: Parameters, position: np.ndarray) -> list[int]:
    return cells_in_lines(position, 3, 3, 3)


def geometry(parameters: Parameters) -> Geometry:
    cells = squares(3, 3)
    lines = [line(0, at, 3, at) for at in (1, 2)] + [line(at, 0, at, 3) for at in (1, 2)]
    grid = tuple(Drawing(shape, "grid") for shape in lines)
    return Geometry(3, 3, grid, cells, cells, pieces="marks")


def render(parameters: Parameters, position: np.ndarray, last_action: int | None) -> str:
    return draw_board(position, 3, 3, ".XO", last_action)
