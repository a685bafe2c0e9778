"""Lines of equal stones on a rectangular board, for every game that is won by a row of them."""

from __future__ import annotations

from ddpzero.games.compiled import compiled


@compiled
def run_length(cells, cell, stride, room):
    """Count the stones equal to the one on `cell` that follow it without a gap in one direction.

    cells: integer array whose first entries are the board, row-major.
    stride: what leads from a cell to the next one; room: cells from `cell` to the edge of the board.
    """
    stone = cells[cell]
    length = 0
    other = cell + stride
    while length < room and cells[other] == stone:
        length += 1
        other += stride
    return length


@compiled
def makes_line(cells, rows, columns, row, column, line, exact):
    """Tell whether the stone on (row, column) is part of `line` equal stones in a row.

    cells: integer array whose first rows * columns entries are the board, row-major.
    exact: longer rows do not count; otherwise `line` or more do.
    """
    cell = row * columns + column
    up, down, left, right = row, rows - 1 - row, column, columns - 1 - column
    for stride, room_ahead, room_behind in (
        (1, right, left),
        (columns, down, up),
        (columns + 1, min(down, right), min(up, left)),
        (columns - 1, min(down, left), min(up, right)),
    ):
        ahead = run_length(cells, cell, stride, room_ahead)
        length = 1 + ahead + run_length(cells, cell, -stride, room_behind)
        if length == line or (length > line and not exact):
            return True
    return False
