"""Othello: a disc must outflank lines of the opponent's discs and turns them over; the player with most discs wins.

The game ends as soon as neither player can place a disc; the rest follows the rules of the World Othello Federation.
Boards of other sizes start with the same four discs in the middle.
Actions are cells, size * row + column with row 0 at the top, followed by the pass, which is legal only if no disc can
be placed. Cells are named from the top left corner, "a1": the first moves are d3, c4, f5 and e6.

    position [3 * size + 2] uint16; bit c of a row's entry is its cell in column c:
        the rows of the first player's discs, the rows of the second player's, the rows of cells where the mover can
        place a disc, mover, status
    planes [4, size, size]: own discs, the opponent's discs, ones (they mark the board for zero-padded convolutions),
        cells where the mover can place a disc
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.geometry import (
    Geometry,
    inner_circles,
    lines_between_squares,
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
    upside_down,
)
from ddpzero.games.shared.stones import DRAW, GOING_ON, return_of_status

_PASS = "pass"
# rectangle_symmetries, reordered. The first four keep the start: the identity, the half turn, the
# reflections at the diagonals. The others turn it into the start with the colors swapped.
_SYMMETRIES = [0, 3, 4, 7, 1, 2, 5, 6]
_NUM_START_SYMMETRIES = 4


@dataclass(frozen=True)
class Parameters:
    """size: cells along an edge, an even number, 4..16."""

    size: int = 8

    def __post_init__(self) -> None:
        if not 4 <= self.size <= 16 or self.size % 2:
            raise ValueError(
                f"game.size={self.size} is not an even number in 4..16: choose one, for a middle of four cells."
            )


def spec(parameters: Parameters) -> GameSpec:
    size, num_cells = parameters.size, parameters.size**2
    symmetries = rectangle_symmetries(size, size)[_SYMMETRIES]
    passes = np.full((len(symmetries), 1), num_cells, dtype=np.int32)
    return GameSpec(
        num_actions=num_cells + 1,
        position_size=3 * size + 2,
        position_dtype=np.dtype(np.uint16),
        num_planes=4,
        board_shape=(size, size),
        # The first ply places a disc, and so does the ply after each pass.
        max_plies=2 * (num_cells - 4) - 1,
        cell_symmetries=symmetries,
        action_symmetries=np.concatenate([symmetries, passes], axis=1),
        num_start_symmetries=_NUM_START_SYMMETRIES,
        max_score=num_cells,
        action_cells=np.append(np.arange(num_cells), -1).astype(np.int32),
    )


def initial_position(rules, position):
    size = rules.size
    upper = size // 2 - 1
    position[:] = 0
    position[upper] = 2 << upper
    position[upper + 1] = 1 << upper
    position[size + upper] = 1 << upper
    position[size + upper + 1] = 2 << upper
    _find_moves(size, position, 0)


def legal_actions(rules, position, legal):
    size = rules.size
    can_place = 0
    for row in range(size):
        moves = _entry(position, 2 * size + row)
        can_place |= moves
        for column in range(size):
            legal[size * row + column] = (moves >> column) & 1
    legal[size * size] = can_place == 0 and position[3 * size + 1] == GOING_ON


def apply_action(rules, position, action):
    size = rules.size
    player = _entry(position, 3 * size)
    if action < size * size:
        _place_disc(size, position, player, action // size, action % size)
    position[3 * size] = 1 - player
    if _find_moves(size, position, 1 - player) == 0:
        if _find_moves(size, position, player) == 0:
            difference = score(rules, position)
            position[3 * size + 1] = DRAW if difference == 0 else 1 if difference > 0 else 2
        for row in range(size):
            position[2 * size + row] = 0


def current_player(rules, position):
    return position[3 * rules.size]


def is_terminal(rules, position):
    return position[3 * rules.size + 1] != GOING_ON


def player_return(rules, position, player):
    return return_of_status(position[3 * rules.size + 1], player)


def observe(rules, position, planes):
    size = rules.size
    num_cells = size * size
    player = _entry(position, 3 * size)
    _draw_rows(size, position, player * size, planes, 0)
    _draw_rows(size, position, (1 - player) * size, planes, num_cells)
    for cell in range(num_cells):
        planes[2 * num_cells + cell] = 1
    _draw_rows(size, position, 2 * size, planes, 3 * num_cells)


@compiled
def score(rules, position):
    size = rules.size
    difference = 0
    for row in range(size):
        for column in range(size):
            difference += _owner(size, position, row, column)
    return difference


def ownership(rules, position, owners):
    size = rules.size
    for row in range(size):
        for column in range(size):
            owners[size * row + column] = _owner(size, position, row, column)


@compiled
def _entry(position, index):
    """Return an entry as int64: operations on unsigned and signed numbers would give floats."""
    return np.int64(position[index])


@compiled
def _owner(size, position, row, column):
    """Return the owner of the disc on a cell: 1 first player, -1 second, 0 none."""
    first, second = _entry(position, row), _entry(position, size + row)
    return ((first >> column) & 1) - ((second >> column) & 1)


@compiled
def _draw_rows(size, position, rows_at, planes, plane_at):
    """Write the rows that start at entry rows_at of the position as the plane that starts at planes[plane_at]."""
    for row in range(size):
        bits = _entry(position, rows_at + row)
        for column in range(size):
            planes[plane_at + size * row + column] = (bits >> column) & 1


@compiled
def _place_disc(size, position, player, row, column):
    """Place a disc of `player` and turn over the opponent's discs that it outflanks."""
    own_at, other_at = player * size, (1 - player) * size
    position[own_at + row] |= 1 << column
    for down in (-1, 0, 1):
        # Shifts to the same, the next and the previous column. Beyond an edge the bit is in no row.
        for right, left in ((0, 0), (1, 0), (0, 1)):
            end, bit, length = row + down, (1 << column) << right >> left, 0
            while 0 <= end < size and position[other_at + end] & bit != 0:
                end, bit, length = end + down, bit << right >> left, length + 1
            if 0 <= end < size and position[own_at + end] & bit != 0:
                for _ in range(length):
                    end, bit = end - down, bit << left >> right
                    position[own_at + end] |= bit
                    position[other_at + end] ^= bit


@compiled
def _find_moves(size, position, player):
    """Write the cells where `player` can place a disc; return 0 if there are none."""
    own_at, other_at, moves_at = player * size, (1 - player) * size, 2 * size
    all_columns = (1 << size) - 1
    for row in range(size):
        own, other = _entry(position, own_at + row), _entry(position, other_at + row)
        # To the right: an addition carries through each line of discs after an own disc.
        found = ((own << 1) & other) + other
        # To the left: lines of up to 2, 4, 8 and 16 discs.
        line = (own >> 1) & other
        line |= other & (line >> 1)
        both = other & (other >> 1)
        line |= both & (line >> 2)
        both &= both >> 2
        line |= both & (line >> 4)
        both &= both >> 4
        line |= both & (line >> 8)
        found |= line >> 1
        position[moves_at + row] = found & ~(own | other) & all_columns
    _sweep(size, position, own_at, other_at, 0, 1)
    return _sweep(size, position, own_at, other_at, size - 1, -1)


@compiled
def _sweep(size, position, own_at, other_at, first_row, step):
    """Add the moves that outflank discs straight and diagonally above (step 1) or below (-1) to the known moves.

    Returns the columns of all moves.
    """
    moves_at, all_columns = 2 * size, (1 << size) - 1
    # Of the previous row: own discs, and in three directions the opponent's discs that a line of
    # such discs connects to an own disc.
    own_before = straight = right = left = 0
    columns = 0
    for index in range(size):
        row = first_row + step * index
        own, other = _entry(position, own_at + row), _entry(position, other_at + row)
        found = (straight | (right << 1) | (left >> 1)) & ~(own | other) & all_columns
        moves = _entry(position, moves_at + row) | found
        position[moves_at + row] = moves
        columns |= moves
        straight = (straight | own_before) & other
        right = ((right | own_before) << 1) & other
        left = ((left | own_before) >> 1) & other
        own_before = own
    return columns


def action_name(parameters: Parameters, action: int) -> str:
    size = parameters.size
    if action == size**2:
        return _PASS
    row, column = divmod(upside_down(size, action), size)
    return square_name(row, column, size)


def sgf_header(parameters: Parameters) -> str:
    """Return the properties of https://www.red-bean.com/sgf: game 2."""
    return f"GM[2]SZ[{parameters.size}]"


def sgf_point(parameters: Parameters, action: int) -> str:
    size = parameters.size
    if action == size**2:
        return ""
    return sgf_letters(*divmod(action, size))


def sgf_parameters(
    parameters: Parameters, properties: Mapping[str, Sequence[str]], moves: Sequence[str]
) -> dict[str, Any]:
    return {"size": sgf_size(properties, parameters.size)}


def parse_action(parameters: Parameters, text: str) -> int:
    """Return the action for a cell or for "pass"."""
    size = parameters.size
    if text.strip().lower() == _PASS:
        return size**2
    try:
        return upside_down(size, parse_square(text, size, size))
    except ValueError as error:
        raise ValueError(f"{error} Where no disc can be placed: {_PASS}.") from None


def board(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    size = parameters.size
    discs = (position[: 2 * size, None] >> np.arange(size)) & 1
    return (discs[:size] + 2 * discs[size:]).reshape(-1)


def geometry(parameters: Parameters) -> Geometry:
    size = parameters.size
    cells = squares(size, size)
    return Geometry(
        width=size,
        height=size,
        background=lines_between_squares(size, size),
        cells=inner_circles(cells, 0.42),
        actions=(*cells, None),
        labels=names_of_squares(size, size, COLUMN_LETTERS, first_row_is_1=True),
        pieces="stones",
        surface="green",
    )


def render(parameters: Parameters, position: np.ndarray, last_action: int | None) -> str:
    size = parameters.size
    cells = board(parameters, position).reshape(size, size)[::-1].reshape(-1)
    last_cell = None
    if last_action is not None and last_action < size**2:
        last_cell = upside_down(size, last_action)
    lines = draw_board(cells, size, size, ".XO", last_cell).splitlines()
    lines[1 : size + 1] = lines[size:0:-1]
    return "\n".join(lines)
