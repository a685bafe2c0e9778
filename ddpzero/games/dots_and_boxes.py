"""Dots and Boxes: draw an edge between two dots; a player who draws the fourth side of a box owns it and moves again.

The game ends when every edge is drawn. The player with most boxes wins; equal numbers are a draw. An edge that
completes two boxes gives one more turn, like an edge that completes one. There is no pass.

Actions are edges: first the horizontal ones, columns * r + c with r in 0..rows, then the vertical ones,
(rows + 1) * columns + (columns + 1) * r + c with c in 0..columns; row 0 is the top. Boxes are columns * r + c.

The board is the lattice of 2 * rows + 1 by 2 * columns + 1 cells that `render` shows: dots in even rows and columns,
boxes in odd ones, horizontal edges in even rows and odd columns, vertical edges in odd rows and even columns. An edge
is named by its cell as in chess: a letter for the column, then the row counted from the bottom ("b1").

E edges, B boxes:

    position [E + 2 B + 4] uint8:
        edges (1 drawn), owners of the boxes (0 none, 1 first player, 2 second), number of drawn sides of the boxes,
        plies, mover (0 at the end), boxes of the first player, boxes of the second
    planes [9, 2 * rows + 1, 2 * columns + 1], from the mover's side:
        0     drawn edges
        1     edges not drawn
        2     own boxes
        3     the opponent's boxes
        4     ones: marks the board for zero-padded convolutions
        5..8  boxes with 0, 1, 2, 3 drawn sides
      There are no planes for the locations of edges and boxes: they would be sums of these.
    globals [3]: own boxes minus the opponent's; boxes without an owner; 1 if an odd number of edges is left, else -1
      This parity decides which player has to open the long chains (Berlekamp, "The Dots and Boxes Game", 2000), and is
      the feature that a network learns most slowly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.geometry import Drawing, Geometry, circle, line, squares
from ddpzero.games.core.spec import GameSpec
from ddpzero.games.shared.boards import draw_board, parse_square, rectangle_symmetries, square_name

# Symbols of `render`; a horizontal edge also fills the gaps to its dots.
_SYMBOLS = " +-|XO"
_DOT, _HORIZONTAL, _VERTICAL, _FIRST_OWNER = 1, 2, 3, 4


@dataclass(frozen=True)
class Parameters:
    """rows, columns: number of boxes, 1..9 each."""

    rows: int = 5
    columns: int = 5

    def __post_init__(self) -> None:
        for name in ("rows", "columns"):
            if not 1 <= getattr(self, name) <= 9:
                raise ValueError(
                    f"game.{name}={getattr(self, name)} is outside 1..9: choose a number of boxes between them."
                )


def spec(parameters: Parameters) -> GameSpec:
    height, width = _lattice_shape(parameters)
    num_boxes = parameters.rows * parameters.columns
    cells = _edge_cells(parameters)
    edge_of_cell = np.full(height * width, -1, dtype=np.int32)
    edge_of_cell[cells] = np.arange(len(cells), dtype=np.int32)
    cell_symmetries = rectangle_symmetries(height, width)
    return GameSpec(
        num_actions=len(cells),
        position_size=len(cells) + 2 * num_boxes + 4,
        position_dtype=np.dtype(np.uint8),
        num_planes=9,
        board_shape=(height, width),
        max_plies=len(cells),
        cell_symmetries=cell_symmetries,
        action_symmetries=edge_of_cell[cell_symmetries[:, cells]],
        action_cells=cells,
        num_globals=3,
        # The scales are the same for all sizes, because one network may play several.
        global_scales=(0.1, 0.1, 1.0),
        max_score=num_boxes,
        owner_cells=_box_cells(parameters),
    )


def _lattice_shape(parameters: Parameters) -> tuple[int, int]:
    return 2 * parameters.rows + 1, 2 * parameters.columns + 1


def _edge_cells(parameters: Parameters) -> np.ndarray:
    """Return `[E]` int32, the cell of each edge on the lattice."""
    height, width = _lattice_shape(parameters)
    lattice = np.arange(height * width, dtype=np.int32).reshape(height, width)
    return np.concatenate([lattice[::2, 1::2].reshape(-1), lattice[1::2, ::2].reshape(-1)])


def _box_cells(parameters: Parameters) -> np.ndarray:
    """Return `[B]` int32, the cell of each box on the lattice."""
    height, width = _lattice_shape(parameters)
    lattice = np.arange(height * width, dtype=np.int32).reshape(height, width)
    return lattice[1::2, 1::2].reshape(-1)


@compiled
def _num_horizontal_edges(rules):
    return (rules.rows + 1) * rules.columns


@compiled
def _num_edges(rules):
    return _num_horizontal_edges(rules) + rules.rows * (rules.columns + 1)


@compiled
def _plies(rules):
    """Return the index of the entry for plies; the mover and the two numbers of boxes follow it."""
    return _num_edges(rules) + 2 * rules.rows * rules.columns


@compiled
def _add_side(rules, position, box):
    """Count one more drawn side of a box; the fourth makes the mover its owner."""
    num_boxes = rules.rows * rules.columns
    owners = _num_edges(rules)
    sides, mover = owners + num_boxes, _plies(rules) + 1
    position[sides + box] += 1
    if position[sides + box] == 4:
        player = position[mover]
        position[owners + box] = player + 1
        position[mover + 1 + player] += 1


def initial_position(rules, position):
    position[:] = 0


def legal_actions(rules, position, legal):
    for edge in range(_num_edges(rules)):
        legal[edge] = position[edge] == 0


def apply_action(rules, position, action):
    rows, columns, num_horizontal = rules.rows, rules.columns, _num_horizontal_edges(rules)
    plies, mover = _plies(rules), _plies(rules) + 1
    num_owned = position[mover + 1] + position[mover + 2]
    position[action] = 1
    position[plies] += 1
    if action < num_horizontal:
        # The box below the edge has the edge's index.
        if action >= columns:
            _add_side(rules, position, action - columns)
        if action < rows * columns:
            _add_side(rules, position, action)
    else:
        row, column = divmod(action - num_horizontal, columns + 1)
        if column > 0:
            _add_side(rules, position, row * columns + column - 1)
        if column < columns:
            _add_side(rules, position, row * columns + column)
    if position[plies] == _num_edges(rules):
        position[mover] = 0
    elif position[mover + 1] + position[mover + 2] == num_owned:
        position[mover] = 1 - position[mover]


def current_player(rules, position):
    return position[_plies(rules) + 1]


def is_terminal(rules, position):
    return position[_plies(rules)] == _num_edges(rules)


@compiled
def score(rules, position):
    boxes = _plies(rules) + 2
    # In numba the difference of two bytes is unsigned.
    return np.int64(position[boxes]) - np.int64(position[boxes + 1])


def player_return(rules, position, player):
    difference = score(rules, position)
    if difference == 0:
        return 0.0
    return 1.0 if (difference > 0) == (player == 0) else -1.0


def ownership(rules, position, owners):
    num_edges = _num_edges(rules)
    for box in range(rules.rows * rules.columns):
        owner = position[num_edges + box]
        owners[box] = int(owner == 1) - int(owner == 2)


def observe(rules, position, planes):
    rows, columns = rules.rows, rules.columns
    width = 2 * columns + 1
    num_cells = (2 * rows + 1) * width
    num_horizontal, owners = _num_horizontal_edges(rules), _num_edges(rules)
    sides = owners + rows * columns
    own = position[_plies(rules) + 1] + 1
    for row in range(rows + 1):
        for column in range(columns):
            cell = 2 * row * width + 2 * column + 1
            drawn = position[row * columns + column]
            planes[cell] = drawn
            planes[num_cells + cell] = 1 - drawn
    for row in range(rows):
        for column in range(columns + 1):
            cell = (2 * row + 1) * width + 2 * column
            drawn = position[num_horizontal + row * (columns + 1) + column]
            planes[cell] = drawn
            planes[num_cells + cell] = 1 - drawn
    for row in range(rows):
        for column in range(columns):
            cell = (2 * row + 1) * width + 2 * column + 1
            box = row * columns + column
            owner = position[owners + box]
            if owner == 0:
                planes[(5 + position[sides + box]) * num_cells + cell] = 1
            else:
                planes[(2 if owner == own else 3) * num_cells + cell] = 1
    for cell in range(num_cells):
        planes[4 * num_cells + cell] = 1


def observe_globals(rules, position, globals):
    mover = _plies(rules) + 1
    difference = score(rules, position)
    globals[0] = difference if position[mover] == 0 else -difference
    globals[1] = rules.rows * rules.columns - position[mover + 1] - position[mover + 2]
    globals[2] = 1 if (_num_edges(rules) - position[_plies(rules)]) % 2 == 1 else -1


def action_name(parameters: Parameters, action: int) -> str:
    height, width = _lattice_shape(parameters)
    row, column = divmod(int(_edge_cells(parameters)[action]), width)
    return square_name(row, column, height)


def parse_action(parameters: Parameters, text: str) -> int:
    """Return the edge at the letter and number of its cell in the rendered board."""
    height, width = _lattice_shape(parameters)
    try:
        edges = np.flatnonzero(_edge_cells(parameters) == parse_square(text, height, width))
    except ValueError:
        edges = np.array([], dtype=np.int64)
    if not edges.size:
        last = square_name(0, width - 2, height)
        raise ValueError(
            f"{text!r} is not an edge: give the letter and the number of a place between two dots, such as a2, b1 or "
            f"{last}."
        )
    return int(edges[0])


def board(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    num_edges = len(_edge_cells(parameters))
    return position[num_edges : num_edges + parameters.rows * parameters.columns]


def geometry(parameters: Parameters) -> Geometry:
    """A box is one unit; a move is a click on the line between two dots."""
    rows, columns = parameters.rows, parameters.columns
    dots = [circle(column, row, 0.08) for row in range(rows + 1) for column in range(columns + 1)]
    horizontal = [line(c, r, c + 1, r) for r in range(rows + 1) for c in range(columns)]
    vertical = [line(c, r, c, r + 1) for r in range(rows) for c in range(columns + 1)]
    return Geometry(
        width=columns,
        height=rows,
        background=tuple(Drawing(dot, "dot") for dot in dots),
        cells=squares(rows, columns),
        actions=(*horizontal, *vertical),
        pieces="fills",
        keeps_moves=True,
    )


def render(parameters: Parameters, position: np.ndarray, last_action: int | None) -> str:
    """Return dots, drawn edges and the owners of boxes as text; the letters and numbers name the edges."""
    height, width = _lattice_shape(parameters)
    edge_cells = _edge_cells(parameters)
    lattice = np.zeros((height, width), dtype=np.int64)
    lattice[::2, ::2] = _DOT
    lattice[::2, 1::2] = _HORIZONTAL
    lattice[1::2, ::2] = _VERTICAL
    owners = board(parameters, position).reshape(parameters.rows, parameters.columns)
    lattice[1::2, 1::2] = np.where(owners > 0, owners.astype(np.int64) - 1 + _FIRST_OWNER, 0)
    cells = lattice.reshape(-1)
    cells[edge_cells[position[: len(edge_cells)] == 0]] = 0
    last_cell = None if last_action is None else int(edge_cells[last_action])
    drawing = draw_board(cells, height, width, _SYMBOLS, last_cell)
    return drawing.replace(" - ", "---")
