"""A game made of random numbers, for tests of the search: every position is a key, and all else is drawn from it.

How wild the tree is stands in the position itself, so that one compiled game gives all kinds of trees. With a small
KEY_BITS different ways lead to the same key; with 63 the game is a tree.

    position [8] int64: see the indices below
    planes   [1, 8, 8]: the key's bits
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.spec import GameSpec

NUM_ACTIONS = 10

# Entries of a position.
KEY = 0
MOVER = 1
PLIES = 2
QUARTERS = 3  # return of player 0, times 4; OVER tells whether it counts
OVER = 4
# Settings, which no action changes.
MAX_PLIES = 5
LEGAL_PERCENT = 6
END_PERCENT = 7
EXTRA_TURN_PERCENT = 8
KEY_BITS = 9


@dataclass(frozen=True)
class Parameters:
    """None: they are in the position."""


def new_position(
    key: int,
    max_plies: int = 6,
    legal_percent: int = 70,
    end_percent: int = 20,
    extra_turn_percent: int = 30,
    key_bits: int = 63,
) -> np.ndarray:
    """`[P]` int64, a root where player 0 moves."""
    key &= (1 << key_bits) - 1
    settings = (max_plies, legal_percent, end_percent, extra_turn_percent, key_bits)
    return np.array([key, 0, 0, 0, 0, *settings], dtype=np.int64)


@compiled
def draw(key, number, bound):
    """The key's random number of that `number`, in 0 .. bound - 1 (SplitMix64)."""
    word = np.uint64(key) + np.uint64(number + 1) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    word = (word ^ (word >> np.uint64(31))) >> np.uint64(1)
    return np.int64(word % np.uint64(bound))


def spec(parameters):
    return GameSpec(
        num_actions=NUM_ACTIONS,
        position_size=10,
        position_dtype=np.dtype(np.int64),
        num_planes=1,
        board_shape=(8, 8),
        max_plies=64,
        cell_symmetries=np.arange(64, dtype=np.int32)[None],
        action_symmetries=np.arange(NUM_ACTIONS, dtype=np.int32)[None],
    )


def initial_position(rules, position):
    position[:] = 0
    position[MAX_PLIES] = 6
    position[LEGAL_PERCENT] = 70
    position[END_PERCENT] = 20
    position[EXTRA_TURN_PERCENT] = 30
    position[KEY_BITS] = 63


def legal_actions(rules, position, legal):
    for action in range(NUM_ACTIONS):
        legal[action] = (
            not position[OVER] and draw(position[KEY], action, 100) < position[LEGAL_PERCENT]
        )
    if not position[OVER]:
        legal[draw(position[KEY], NUM_ACTIONS, NUM_ACTIONS)] = True


def apply_action(rules, position, action):
    key = draw(position[KEY], 100 + action, 1 << position[KEY_BITS])
    position[KEY] = key
    position[PLIES] += 1
    if draw(key, 20, 100) >= position[EXTRA_TURN_PERCENT]:
        position[MOVER] = 1 - position[MOVER]
    if position[PLIES] >= position[MAX_PLIES] or draw(key, 21, 100) < position[END_PERCENT]:
        position[OVER] = 1
        position[QUARTERS] = draw(key, 22, 9) - 4


def current_player(rules, position):
    return position[MOVER]


def is_terminal(rules, position):
    return position[OVER] == 1


def player_return(rules, position, player):
    return (position[QUARTERS] if player == 0 else -position[QUARTERS]) / 4.0


def observe(rules, position, planes):
    for bit in range(64):
        planes[bit] = (position[KEY] >> bit) & 1


def board(parameters, position):
    return np.zeros(1, dtype=np.uint8)


def action_name(parameters, action):
    return str(action)


def parse_action(parameters, text):
    return int(text)


def render(parameters, position, last_action):
    return f"{position[KEY]:016x}"
