"""Pairs, a game from outside the tree: mark cells of a row; who completes a pair owns it and moves again.

The game with most pairs won ends when every cell is marked. Cells 2 i and 2 i + 1 are pair i.

    position [3 * pairs + 2] uint8: marked cells, owners of the pairs (0 nobody, else player + 1), plies, mover
    planes [3, 1, 2 * pairs]: marked cells, own pairs, the opponent's pairs (both cells of a pair)
    globals [1]: own pairs minus the opponent's
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games.core.compiled import compiled, copy_row
from ddpzero.games.core.spec import GameSpec
from ddpzero.games.shared.boards import COLUMN_LETTERS


@dataclass(frozen=True)
class Parameters:
    """pairs: 1..13."""

    pairs: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.pairs <= 13:
            raise ValueError(f"game.pairs={self.pairs} is outside 1..13.")


def spec(parameters: Parameters) -> GameSpec:
    cells = np.arange(2 * parameters.pairs, dtype=np.int32)
    symmetries = np.stack([cells, cells[::-1]])
    return GameSpec(
        num_actions=len(cells),
        position_size=3 * parameters.pairs + 2,
        position_dtype=np.dtype(np.uint8),
        num_planes=3,
        board_shape=(1, len(cells)),
        max_plies=len(cells),
        cell_symmetries=symmetries,
        action_symmetries=symmetries,
        action_cells=cells,
        num_globals=1,
        global_scales=(1 / parameters.pairs,),
        max_score=parameters.pairs,
    )


def initial_position(rules, position):
    position[:] = 0


def legal_actions(rules, position, legal):
    for cell in range(2 * rules.pairs):
        legal[cell] = position[cell] == 0


def apply_action(rules, position, action):
    plies, mover = 3 * rules.pairs, 3 * rules.pairs + 1
    position[action] = 1
    position[plies] += 1
    if position[action ^ 1] == 1:
        position[2 * rules.pairs + action // 2] = position[mover] + 1
    else:
        position[mover] = 1 - position[mover]


def current_player(rules, position):
    return position[3 * rules.pairs + 1]


def is_terminal(rules, position):
    return position[3 * rules.pairs] == 2 * rules.pairs


def player_return(rules, position, player):
    difference = score(rules, position)
    if difference == 0:
        return 0.0
    return 1.0 if (difference > 0) == (player == 0) else -1.0


def observe(rules, position, planes):
    num_cells = 2 * rules.pairs
    own = position[3 * rules.pairs + 1] + 1
    for cell in range(num_cells):
        owner = position[num_cells + cell // 2]
        planes[cell] = position[cell]
        planes[num_cells + cell] = owner == own
        planes[2 * num_cells + cell] = owner == 3 - own


def observe_globals(rules, position, globals):
    difference = score(rules, position)
    globals[0] = difference if position[3 * rules.pairs + 1] == 0 else -difference


def copy_position(rules, source, target):
    copy_row(source, target)


@compiled
def score(rules, position):
    difference = 0
    for pair in range(rules.pairs):
        owner = position[2 * rules.pairs + pair]
        difference += int(owner == 1) - int(owner == 2)
    return difference


def ownership(rules, position, owners):
    for pair in range(rules.pairs):
        owner = position[2 * rules.pairs + pair]
        owners[pair] = int(owner == 1) - int(owner == 2)


def action_name(parameters: Parameters, action: int) -> str:
    return COLUMN_LETTERS[action]


def parse_action(parameters: Parameters, text: str) -> int:
    letters = COLUMN_LETTERS[: 2 * parameters.pairs]
    cell = letters.find(text.strip().lower()) if text.strip() else -1
    if cell < 0:
        raise ValueError(f"{text!r} is not a cell: give a letter from a to {letters[-1]}.")
    return cell


def board(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    return position[2 * parameters.pairs : 3 * parameters.pairs]


def render(parameters: Parameters, position: np.ndarray, last_action: int | None) -> str:
    cells = "".join("#" if marked else "." for marked in position[: 2 * parameters.pairs])
    owners = "".join(".XO"[owner] for owner in board(parameters, position))
    return f"cells {cells}  pairs {owners}"
