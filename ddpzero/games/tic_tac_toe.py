"""Tic-tac-toe: three in a row on a 3 x 3 board; a full board is a draw.

Actions are cells, 3 * row + column, row 0 on top.

    position [11] uint8:  cells 0..8 (0 empty, 1 first player, 2 second), 9 plies, 10 status
    planes   [3, 3, 3]:   own stones, the opponent's stones, ones (marks the board for zero-padded convolutions)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games.boards import draw_board, parse_square, rectangle_symmetries, square_name
from ddpzero.games.lines import makes_line
from ddpzero.games.spec import GameSpec

CELLS = 9
PLIES = 9
STATUS = 10  # 0 going on, 1 or 2 that player has won, 3 draw
DRAW = 3


@dataclass(frozen=True)
class Parameters:
    """Tic-tac-toe has none."""


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
    )


def initial_position(rules, position):
    position[:] = 0


def legal_actions(rules, position, legal):
    going_on = position[STATUS] == 0
    for cell in range(CELLS):
        legal[cell] = going_on and position[cell] == 0


def apply_action(rules, position, action):
    player = position[PLIES] & 1
    position[action] = player + 1
    position[PLIES] += 1
    if makes_line(position, 3, 3, action // 3, action % 3, 3, False):
        position[STATUS] = player + 1
    elif position[PLIES] == CELLS:
        position[STATUS] = DRAW


def current_player(rules, position):
    return position[PLIES] & 1


def is_terminal(rules, position):
    return position[STATUS] != 0


def player_return(rules, position, player):
    if position[STATUS] == DRAW:
        return 0.0
    return 1.0 if position[STATUS] == player + 1 else -1.0


def observe(rules, position, planes):
    own = (position[PLIES] & 1) + 1
    for cell in range(CELLS):
        stone = position[cell]
        planes[cell] = stone == own
        planes[CELLS + cell] = stone == 3 - own
        planes[2 * CELLS + cell] = 1


def action_name(parameters: Parameters, action: int) -> str:
    return square_name(action // 3, action % 3, 3)


def parse_action(parameters: Parameters, text: str) -> int:
    return parse_square(text, 3, 3)


def board(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    return position[:CELLS]


def render(parameters: Parameters, position: np.ndarray, last_action: int | None) -> str:
    return draw_board(position[:CELLS], 3, 3, ".XO", last_action)
