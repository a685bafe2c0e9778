"""Traps, a game that breaks a promise: the first action chooses which one, so that one compilation serves many tests.

position [3] uint8: the trap (0: none is chosen yet), plies, mover
planes [1, 1, 8]: the trap
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.spec import GameSpec

KEEPS_ALL = 1
NO_LEGAL_ACTION = 2
WRONG_MOVER = 3
WRONG_RETURN = 4
BOTH_WIN = 5
NEVER_ENDS = 6
WRONG_SCORE = 7
RAISES = 8
NUM_TRAPS = 8


@dataclass(frozen=True)
class Parameters:
    """Traps has none."""


def spec(parameters: Parameters) -> GameSpec:
    return GameSpec(
        num_actions=NUM_TRAPS,
        position_size=3,
        position_dtype=np.dtype(np.uint8),
        num_planes=1,
        board_shape=(1, NUM_TRAPS),
        max_plies=6,
        cell_symmetries=np.arange(NUM_TRAPS, dtype=np.int32)[None],
        action_symmetries=np.arange(NUM_TRAPS, dtype=np.int32)[None],
        max_score=1,
    )


def initial_position(rules, position):
    position[:] = 0


def legal_actions(rules, position, legal):
    for action in range(NUM_TRAPS):
        legal[action] = position[0] == 0 or (
            action == 0 and not is_over(position) and position[0] != NO_LEGAL_ACTION
        )


def apply_action(rules, position, action):
    if position[0] == RAISES:
        raise KeyError("no such key")
    if position[0] == 0:
        position[0] = action + 1
    position[1] += 1
    position[2] = 1 - position[2]


@compiled
def is_over(position):
    return position[1] >= 4 and position[0] != NEVER_ENDS


def current_player(rules, position):
    return 7 if position[0] == WRONG_MOVER and position[1] == 2 else position[2]


def is_terminal(rules, position):
    return is_over(position)


def player_return(rules, position, player):
    if position[0] == WRONG_RETURN:
        return 2.0 if player == 0 else -2.0
    if position[0] == BOTH_WIN:
        return 1.0
    return 1.0 if player == 0 else -1.0


def score(rules, position):
    return 5 if position[0] == WRONG_SCORE else 1


def observe(rules, position, planes):
    for cell in range(NUM_TRAPS):
        planes[cell] = position[0] == cell + 1


def action_name(parameters: Parameters, action: int) -> str:
    return str(action)


def parse_action(parameters: Parameters, text: str) -> int:
    if text.strip() not in map(str, range(NUM_TRAPS)):
        raise ValueError(f"{text!r} is not a number from 0 to {NUM_TRAPS - 1}.")
    return int(text)


def board(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    return (np.arange(NUM_TRAPS) < position[1]).astype(np.uint8)


def render(parameters: Parameters, position: np.ndarray, last_action: int | None) -> str:
    return f"trap {position[0]}, ply {position[1]}"
