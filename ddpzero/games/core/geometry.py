"""Where a board and its moves are drawn: what a page needs to show a game that it has never heard of.

A game may declare `geometry(parameters)`; without it, its board is a plain grid. One unit is the width of a cell; x
goes to the right and y down.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["rect", "circle", "polygon", "line"]
# What a part of the board is: its surface, its thin lines, small dots, the edges that belong to a player.
Role = Literal["field", "grid", "dot", "first_edge", "second_edge"]
# What lies on a cell: black and white stones, discs of two colors, an X or an O, or the cell in a player's color.
Pieces = Literal["stones", "discs", "marks", "fills"]
Surface = Literal["plain", "wood", "green", "blue"]

_PIECES = ("stones", "discs", "marks", "fills")
_SURFACES = ("plain", "wood", "green", "blue")
_NUM_NUMBERS = {"rect": 4, "circle": 3}
_STAR_POINTS_FROM = 9


@dataclass(frozen=True)
class Shape:
    """numbers: x, y, width, height of a rect; x, y, radius of a circle; x, y of each point of a polygon or a line."""

    kind: Kind
    numbers: tuple[float, ...]


@dataclass(frozen=True)
class Drawing:
    shape: Shape
    role: Role


@dataclass(frozen=True)
class Label:
    """A word beside the board, whose middle is at x, y."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Geometry:
    """How a game is drawn. Letters: B entries of the game's board, A num_actions.

    width, height: of everything. background: drawn first, in this order. cells: `[B]`, where what lies on a cell is
    drawn. actions: `[A]`, where to click for a move; None for one without a place, such as a pass. keeps_moves: the
    shape of a move stays on the board as a line, as in Dots and Boxes.
    """

    width: float
    height: float
    background: tuple[Drawing, ...]
    cells: tuple[Shape, ...]
    actions: tuple[Shape | None, ...]
    labels: tuple[Label, ...] = ()
    pieces: Pieces = "discs"
    surface: Surface = "plain"
    keeps_moves: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: shapes as `{kind, numbers}`."""
        return asdict(self)


def problem_of_geometry(geometry: object, num_cells: int, num_actions: int) -> str:
    """Return what is wrong with what a game declares, as the end of a sentence; "" if it can be drawn."""
    if not isinstance(geometry, Geometry):
        return f"must return a Geometry, not {type(geometry).__name__}."
    for name, entries, number in (
        ("cells", geometry.cells, num_cells),
        ("actions", geometry.actions, num_actions),
    ):
        if len(entries) != number:
            return f"has {len(entries)} {name}: there are {number}."
    if geometry.pieces not in _PIECES or geometry.surface not in _SURFACES:
        return (
            f"has pieces={geometry.pieces!r} on surface={geometry.surface!r}: {', '.join(_PIECES)} and "
            f"{', '.join(_SURFACES)} are known."
        )
    numbers = [geometry.width, geometry.height]
    drawn = [drawing.shape for drawing in geometry.background]
    for shape in [*drawn, *geometry.cells, *filter(None, geometry.actions)]:
        if shape.kind in _NUM_NUMBERS:
            is_complete = len(shape.numbers) == _NUM_NUMBERS[shape.kind]
        else:
            is_complete = len(shape.numbers) >= 4 and len(shape.numbers) % 2 == 0
        if shape.kind not in ("rect", "circle", "polygon", "line") or not is_complete:
            return f"has the shape {shape.kind!r} with {len(shape.numbers)} numbers."
        numbers += shape.numbers
    if not all(math.isfinite(number) for number in numbers) or min(numbers[:2]) <= 0:
        return "has numbers that are not finite, or no size."
    return ""


# ------------------------------------------------------------------ shapes


def rect(x: float, y: float, width: float = 1.0, height: float = 1.0) -> Shape:
    return Shape("rect", (x, y, width, height))


def circle(x: float, y: float, radius: float) -> Shape:
    return Shape("circle", (x, y, radius))


def line(*numbers: float) -> Shape:
    return Shape("line", numbers)


def polygon(points: Iterable[tuple[float, float]]) -> Shape:
    return Shape("polygon", tuple(number for point in points for number in point))


# ------------------------------------------------------------------ boards that many games have


def squares(num_rows: int, num_columns: int, upside_down: bool = False) -> tuple[Shape, ...]:
    """Return the squares of a board, row by row. upside_down: row 0 is at the bottom."""
    rows = range(num_rows)
    return tuple(
        rect(column, num_rows - 1 - row if upside_down else row)
        for row in rows
        for column in range(num_columns)
    )


def inner_circles(cells: Sequence[Shape], radius: float = 0.46) -> tuple[Shape, ...]:
    """Return a circle in the middle of each square."""
    return tuple(circle(shape.numbers[0] + 0.5, shape.numbers[1] + 0.5, radius) for shape in cells)


def names_of_squares(
    num_rows: int, num_columns: int, letters: str, first_row_is_1: bool = False
) -> tuple[Label, ...]:
    """Return letters above the columns and numbers left of the rows, counted from the bottom unless told otherwise."""
    above = [Label(column + 0.5, -0.4, letters[column]) for column in range(num_columns)]
    beside = [
        Label(-0.45, row + 0.5, str(row + 1 if first_row_is_1 else num_rows - row))
        for row in range(num_rows)
    ]
    return (*above, *beside)


def lines_between_squares(num_rows: int, num_columns: int) -> tuple[Drawing, ...]:
    """Return a surface, and the lines between the squares of a board and around them."""
    lines = [line(0, row, num_columns, row) for row in range(num_rows + 1)]
    lines += [line(column, 0, column, num_rows) for column in range(num_columns + 1)]
    surface = Drawing(rect(0, 0, num_columns, num_rows), "field")
    return (surface, *(Drawing(shape, "grid") for shape in lines))


def lines_through_squares(size: int) -> tuple[Drawing, ...]:
    """Return a surface, lines through the middles of the squares, and star points: for stones that stand on points."""
    first, last = 0.5, size - 0.5
    lines = [line(first, row + 0.5, last, row + 0.5) for row in range(size)]
    lines += [line(column + 0.5, first, column + 0.5, last) for column in range(size)]
    stars = [
        circle(column + 0.5, row + 0.5, 0.1) for row in _stars(size) for column in _stars(size)
    ]
    surface = Drawing(rect(0, 0, size, size), "field")
    grid = [Drawing(shape, "grid") for shape in lines]
    return (surface, *grid, *(Drawing(star, "dot") for star in stars))


def _stars(size: int) -> list[int]:
    if size < _STAR_POINTS_FROM or size % 2 == 0:
        return []
    edge = 2 if size < 13 else 3
    return sorted({edge, size // 2, size - 1 - edge})


def plain_geometry(
    board_shape: tuple[int, int],
    num_cells: int,
    action_cells: Sequence[int] | None,
    actions_are_columns: bool,
    num_actions: int,
) -> Geometry:
    """Return how a game is drawn that declares nothing. action_cells, actions_are_columns: see GameSpec.

    If the entries of its board are not the cells of the network's, they stand in rows of the same width.
    """
    num_rows, num_columns = board_shape
    num_rows_drawn = max(1, math.ceil(num_cells / num_columns))
    cells = squares(num_rows_drawn, num_columns)[:num_cells]
    actions: tuple[Shape | None, ...] = (None,) * num_actions
    if num_cells == num_rows * num_columns:
        if action_cells is not None:
            actions = tuple(cells[cell] if cell >= 0 else None for cell in action_cells)
        elif actions_are_columns:
            actions = tuple(rect(column, 0, 1, num_rows) for column in range(num_columns))
    return Geometry(
        width=num_columns,
        height=num_rows_drawn,
        background=lines_between_squares(num_rows_drawn, num_columns),
        cells=cells,
        actions=actions,
    )
