"""Take, a game whose actions are no places of its board: take up to `most` stones of a pile; the last stone wins.

position [2] uint8: stones left, mover
planes [1, 1, pile]: one for each stone left
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games.core.spec import GameSpec


@dataclass(frozen=True)
class Parameters:
    """pile: stones at the start, 1..100. most: the largest number that may be taken, 1..pile."""

    pile: int = 10
    most: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.pile <= 100:
            raise ValueError(f"game.pile={self.pile} is outside 1..100.")
        if not 1 <= self.most <= self.pile:
            raise ValueError(f"game.most={self.most} is outside 1..{self.pile}.")


def spec(parameters: Parameters) -> GameSpec:
    return GameSpec(
        num_actions=parameters.most,
        position_size=2,
        position_dtype=np.dtype(np.uint8),
        num_planes=1,
        board_shape=(1, parameters.pile),
        max_plies=parameters.pile,
        cell_symmetries=np.arange(parameters.pile, dtype=np.int32)[None],
        action_symmetries=np.arange(parameters.most, dtype=np.int32)[None],
    )


def initial_position(rules, position):
    position[0] = rules.pile
    position[1] = 0


def legal_actions(rules, position, legal):
    for action in range(rules.most):
        legal[action] = action < position[0]


def apply_action(rules, position, action):
    position[0] -= action + 1
    position[1] = 1 - position[1]


def current_player(rules, position):
    return position[1]


def is_terminal(rules, position):
    return position[0] == 0


def player_return(rules, position, player):
    return -1.0 if player == position[1] else 1.0


def observe(rules, position, planes):
    for stone in range(position[0]):
        planes[stone] = 1


def action_name(parameters: Parameters, action: int) -> str:
    return str(action + 1)


def parse_action(parameters: Parameters, text: str) -> int:
    names = [str(number) for number in range(1, parameters.most + 1)]
    if text.strip() not in names:
        raise ValueError(f"{text!r} is not a number of stones from 1 to {names[-1]}.")
    return names.index(text.strip())


def board(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    return (np.arange(parameters.pile) < position[0]).astype(np.uint8)


def render(parameters: Parameters, position: np.ndarray, last_action: int | None) -> str:
    return f"{position[0]:3d} stones " + ("o" * int(position[0]) or "-")
