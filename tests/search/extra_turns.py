"""A small game with extra turns, for tests: a pile of stones; take one, two or three; who takes the last one wins.

Taking three gives the player another turn (unless the pile is empty).

    position [3] int8:   stones left, player to move, winner + 1 (0 while the game goes on)
    planes   [1, 1, 12]: a one for each stone left
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games.core.spec import GameSpec

MAX_STONES = 12


@dataclass(frozen=True)
class Parameters:
    stones: int = 12


def spec(parameters):
    return GameSpec(
        num_actions=3,
        position_size=3,
        position_dtype=np.dtype(np.int8),
        num_planes=1,
        board_shape=(1, MAX_STONES),
        max_plies=parameters.stones,
        cell_symmetries=np.arange(MAX_STONES, dtype=np.int32)[None],
        action_symmetries=np.arange(3, dtype=np.int32)[None],
    )


def initial_position(rules, position):
    position[0] = rules.stones
    position[1] = 0
    position[2] = 0


def legal_actions(rules, position, legal):
    for action in range(3):
        legal[action] = action < position[0]


def apply_action(rules, position, action):
    position[0] -= action + 1
    if position[0] == 0:
        position[2] = position[1] + 1
    elif action != 2:
        position[1] = 1 - position[1]


def current_player(rules, position):
    return position[1]


def is_terminal(rules, position):
    return position[2] != 0


def player_return(rules, position, player):
    return 1.0 if position[2] == player + 1 else -1.0


def observe(rules, position, planes):
    for stone in range(position[0]):
        planes[stone] = 1


def board(parameters, position):
    cells = np.zeros(MAX_STONES, dtype=np.uint8)
    cells[: position[0]] = 1
    return cells


def action_name(parameters, action):
    return str(action + 1)


def parse_action(parameters, text):
    if text.strip() not in ("1", "2", "3"):
        raise ValueError(f"{text!r} is not 1, 2 or 3.")
    return int(text) - 1


def render(parameters, position, last_action):
    return f"{position[0]} stones"
