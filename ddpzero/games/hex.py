"""Hex: the first player joins the top edge with the bottom edge, the second player the left edge with the right edge.

On a full board exactly one of them has done so: there are no draws. The game ends with the first connection.
Actions are cells, size * row + column; row 0 is the top. Cells are named from the top left corner, "a1".
The neighbors of (r, c) are (r, c - 1), (r, c + 1), (r - 1, c), (r + 1, c), (r - 1, c + 1) and (r + 1, c - 1).
`swap` is the pie rule: the second player may answer the first stone by playing on its cell. That stone (r, c) is then
replaced by a stone of the second player on (c, r), which has the same relation to this player's edges as the first
stone had to its own.

    position [size^2 + 2] int16: cells, plies, status. A cell is 0 empty, 1 first player or 2 second player; plus 4 if
        stones join it with its player's first edge (top, left), plus 8 if with the last one (bottom, right)
    planes [6, size, size], with `swap` [7, size, size]: own stones, the opponent's stones, ones (they mark the board
        for zero-padded convolutions), ones if the mover is the first player, own stones joined with an edge of the
        mover, the opponent's stones joined with an edge of the opponent, and with `swap` ones if the mover may swap
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.geometry import Drawing, Geometry, Label, Role, circle, line, polygon
from ddpzero.games.core.spec import GameSpec
from ddpzero.games.shared.boards import (
    COLUMN_LETTERS,
    parse_square,
    rectangle_symmetries,
    sgf_size,
    square_name,
    upside_down,
)
from ddpzero.games.shared.stones import GOING_ON, return_of_status

# The parts of a cell's entry.
_STONE = 3
_FIRST_EDGE = 4
_LAST_EDGE = 8
_EDGES = _FIRST_EDGE | _LAST_EDGE
# While edges spread, the bits above hold the next cell to spread from, plus one; 0 ends that list.
_LINK_SHIFT = 4
_UNLINKED = _STONE | _EDGES
_SWAP = "swap-pieces"  # in SGF
_SIDE = 3**-0.5  # of a hexagon one unit wide, as it is drawn
_NEIGHBOURS = ((0, -1), (0, 1), (-1, 0), (1, 0), (-1, 1), (1, -1))


@dataclass(frozen=True)
class Parameters:
    """size: cells along an edge, 2..19. swap: the second player may take over the first stone."""

    size: int = 11
    swap: bool = False

    def __post_init__(self) -> None:
        if not 2 <= self.size <= 19:
            raise ValueError(f"game.size={self.size} is outside 2..19: choose a size between them.")

    def variables(self) -> dict[str, int]:
        return {"swap": self.swap}


def spec(parameters: Parameters) -> GameSpec:
    size, num_cells = parameters.size, parameters.size**2
    # The identity and the half turn: no other symmetry of a square keeps neighbors and edges.
    symmetries = rectangle_symmetries(size, size)[[0, 3]]
    return GameSpec(
        num_actions=num_cells,
        position_size=num_cells + 2,
        position_dtype=np.dtype(np.int16),
        num_planes=7 if parameters.swap else 6,
        board_shape=(size, size),
        # A swap adds no stone.
        max_plies=num_cells + parameters.swap,
        cell_symmetries=symmetries,
        action_symmetries=symmetries,
        action_cells=np.arange(num_cells, dtype=np.int32),
    )


def initial_position(rules, position):
    position[:] = 0


def legal_actions(rules, position, legal):
    num_cells = rules.size * rules.size
    if position[num_cells + 1] != GOING_ON:
        legal[:] = False
    elif _may_swap(rules, position):
        legal[:] = True
    else:
        for cell in range(num_cells):
            legal[cell] = position[cell] == 0


def apply_action(rules, position, action):
    size, num_cells = rules.size, rules.size * rules.size
    stone = (position[num_cells] & 1) + 1
    row, column = action // size, action % size
    if position[action] != 0:  # a swap
        position[action] = 0
        row, column = column, row
    position[num_cells] += 1
    edges = _edges_of(size, position, stone, row, column)
    position[size * row + column] = stone | edges
    if edges != 0:
        _spread(size, position, row, column)
    if edges == _EDGES:
        position[num_cells + 1] = stone


def current_player(rules, position):
    return position[rules.size * rules.size] & 1


def is_terminal(rules, position):
    return position[rules.size * rules.size + 1] != GOING_ON


def player_return(rules, position, player):
    return return_of_status(position[rules.size * rules.size + 1], player)


def observe(rules, position, planes):
    num_cells = rules.size * rules.size
    own = (position[num_cells] & 1) + 1
    other = 3 - own
    # One loop per plane: separate loops are vectorized, a combined one is not.
    for cell in range(num_cells):
        planes[cell] = position[cell] & _STONE == own
    for cell in range(num_cells):
        planes[num_cells + cell] = position[cell] & _STONE == other
    for cell in range(num_cells):
        planes[2 * num_cells + cell] = 1
    for cell in range(num_cells):
        planes[3 * num_cells + cell] = own == 1
    for cell in range(num_cells):
        entry = position[cell]
        planes[4 * num_cells + cell] = (entry & _STONE == own) & (entry > _STONE)
    for cell in range(num_cells):
        entry = position[cell]
        planes[5 * num_cells + cell] = (entry & _STONE == other) & (entry > _STONE)
    if rules.swap != 0:
        may_swap = _may_swap(rules, position)
        for cell in range(num_cells):
            planes[6 * num_cells + cell] = may_swap


@compiled
def _may_swap(rules, position):
    return rules.swap != 0 and position[rules.size * rules.size] == 1


@compiled
def _edges_of(size, position, stone, row, column):
    """Return the edges that a stone on an empty cell is joined with, directly or through its neighbors."""
    along = row if stone == 1 else column
    edges = (_FIRST_EDGE if along == 0 else 0) | (_LAST_EDGE if along == size - 1 else 0)
    for down, right in _NEIGHBOURS:
        if 0 <= row + down < size and 0 <= column + right < size:
            entry = position[size * (row + down) + column + right]
            if entry & _STONE == stone:
                edges |= entry & _EDGES
    return edges


@compiled
def _spread(size, position, row, column):
    """Give the edges of a stone to all stones that are joined with it.

    All stones of a group have the same edges, so each of them takes part in at most two spreads of an episode. The
    cells to continue from form a list that is linked through their entries and needs no further memory.
    """
    cell = size * row + column
    joined = position[cell]
    next_link = cell + 1
    while next_link > 0:
        cell = next_link - 1
        next_link = position[cell] >> _LINK_SHIFT
        position[cell] = joined
        for down, right in _NEIGHBOURS:
            other_row, other_column = cell // size + down, cell % size + right
            if 0 <= other_row < size and 0 <= other_column < size:
                other = size * other_row + other_column
                entry = position[other]
                if entry & _STONE == joined & _STONE and entry & _UNLINKED != joined:
                    position[other] = joined | (next_link << _LINK_SHIFT)
                    next_link = other + 1


def action_name(parameters: Parameters, action: int) -> str:
    size = parameters.size
    row, column = divmod(upside_down(size, action), size)
    return square_name(row, column, size)


def sgf_header(parameters: Parameters) -> str:
    """Return the properties of https://www.red-bean.com/sgf: game 11."""
    return f"GM[11]SZ[{parameters.size}]{'RU[swap]' if parameters.swap else ''}"


def sgf_point(parameters: Parameters, action: int) -> str:
    return action_name(parameters, action)


def sgf_words(parameters: Parameters, position: np.ndarray) -> dict[str, int]:
    num_cells = parameters.size**2
    if not parameters.swap or position[num_cells] != 1:
        return {}
    first = int(np.flatnonzero(position[:num_cells])[0])
    return {_SWAP: first, "swap": first}


def sgf_parameters(
    parameters: Parameters, properties: Mapping[str, Sequence[str]], moves: Sequence[str]
) -> dict[str, Any]:
    """Return the size, and that the second player may swap if the rules say so or if this player did."""
    rules = (properties.get("RU") or [""])[0]
    swap = parameters.swap or "swap" in rules.lower() or moves[1:2] in ([_SWAP], ["swap"])
    return {"size": sgf_size(properties, parameters.size), "swap": swap}


def parse_action(parameters: Parameters, text: str) -> int:
    size = parameters.size
    return upside_down(size, parse_square(text, size, size))


def board(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    return position[: parameters.size**2] & _STONE


def winning_cells(parameters: Parameters, position: np.ndarray) -> list[int]:
    """Return a shortest chain of the winner between the two edges of that player; empty before the end."""
    size = parameters.size
    stones = board(parameters, position).reshape(size, size)
    for player in (1, 2):
        # The second player's edges are columns: transpose the board for the search, and then the
        # cells.
        own = (stones if player == 1 else stones.T) == player
        if chain := _shortest_chain(own):
            cells = chain if player == 1 else [(column, row) for row, column in chain]
            return sorted(size * row + column for row, column in cells)
    return []


def _shortest_chain(own: np.ndarray) -> list[tuple[int, int]]:
    """Return neighboring True cells from the first row to the last, found by breadth-first search."""
    size = len(own)
    parents: dict[tuple[int, int], tuple[int, int] | None] = {
        (0, column): None for column in range(size) if own[0, column]
    }
    waiting = deque(parents)
    while waiting:
        row, column = waiting.popleft()
        if row == size - 1:
            chain: list[tuple[int, int]] = []
            cell: tuple[int, int] | None = (row, column)
            while cell is not None:
                chain.append(cell)
                cell = parents[cell]
            return chain
        for down, right in ((0, -1), (0, 1), (-1, 0), (1, 0), (-1, 1), (1, -1)):
            other = (row + down, column + right)
            is_there = min(other) >= 0 and max(other) < size
            if is_there and own[other] and other not in parents:
                parents[other] = (row, column)
                waiting.append(other)
    return []


def geometry(parameters: Parameters) -> Geometry:
    """Each row is half a cell further to the right than the one above; the edges have the colors of their players."""
    size = parameters.size
    half = 0.5 * _SIDE
    middles = [
        [(column + row / 2 + 0.5, 1.5 * _SIDE * row + _SIDE) for column in range(size)]
        for row in range(size)
    ]
    corners = [(0.0, -_SIDE), (0.5, -half), (0.5, half), (0.0, _SIDE), (-0.5, half), (-0.5, -half)]
    cells = tuple(
        polygon((x + right, y + down) for right, down in corners) for row in middles for x, y in row
    )
    top = [n for x, y in middles[0] for n in (x - 0.5, y - half, x, y - _SIDE, x + 0.5, y - half)]
    bottom = [
        n for x, y in middles[-1] for n in (x - 0.5, y + half, x, y + _SIDE, x + 0.5, y + half)
    ]
    left = [
        n for row in middles for x, y in row[:1] for n in (x - 0.5, y - half, x - 0.5, y + half)
    ]
    right = [
        n for row in middles for x, y in row[-1:] for n in (x + 0.5, y - half, x + 0.5, y + half)
    ]
    edges: list[tuple[list[float], Role]] = [
        (top, "first_edge"),
        (bottom, "first_edge"),
        (left, "second_edge"),
        (right, "second_edge"),
    ]
    letters = [
        Label(x - 0.25, y - 1.5 * _SIDE, COLUMN_LETTERS[c]) for c, (x, y) in enumerate(middles[0])
    ]
    numbers = [Label(row[0][0] - 0.95, row[0][1], str(r + 1)) for r, row in enumerate(middles)]
    return Geometry(
        width=1.5 * size - 0.5,
        height=1.5 * _SIDE * (size - 1) + 2 * _SIDE,
        background=(
            *(Drawing(cell, "field") for cell in cells),
            *(Drawing(line(*numbers), role) for numbers, role in edges),
        ),
        cells=tuple(circle(x, y, 0.4) for row in middles for x, y in row),
        actions=cells,
        labels=(*letters, *numbers),
        pieces="discs",
    )


def render(parameters: Parameters, position: np.ndarray, last_action: int | None) -> str:
    """Return the board as a slanted rhombus, with each player's symbol along the player's edges."""
    size = parameters.size
    symbols = np.array(list(".XO"))[board(parameters, position)].reshape(size, size)
    last_row, last_column = (-1, -1) if last_action is None else divmod(last_action, size)
    if last_action is not None and symbols[last_row, last_column] == ".":
        last_row, last_column = last_column, last_row  # the last action was a swap
    width = len(str(size))
    letters = " ".join(COLUMN_LETTERS[:size])
    edge = "-".join("X" * size)
    lines = [f"{'':{width + 2}}{letters}", f"{'':{width + 3}}{edge}"]
    for row in range(size):
        cells = list(f" {' '.join(symbols[row])} ")
        if row == last_row:
            cells[2 * last_column], cells[2 * last_column + 2] = "[]"
        lines.append(f"{'':{row}}{row + 1:>{width}} O\\{''.join(cells)}\\O")
    lines += [f"{'':{width + 4 + size}}{edge}", f"{'':{width + 5 + size}}{letters}"]
    return "\n".join(lines)
