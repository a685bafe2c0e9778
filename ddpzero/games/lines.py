"""Lines of equal stones on a rectangular board, for every game that is won by a row of them."""

from __future__ import annotations

from numba import njit


@njit(inline="always")
def line_length(cells, rows, columns, row, column, row_step, column_step):
    """Count the stones like the one on (row, column) on the line through it, itself included.

    cells: integer array whose first rows * columns entries are the board, row-major.
    (row_step, column_step): one direction of the line; the other one is counted too.
    """
    stone = cells[row * columns + column]
    length = 1
    r, c = row + row_step, column + column_step
    while 0 <= r < rows and 0 <= c < columns and cells[r * columns + c] == stone:
        length += 1
        r += row_step
        c += column_step
    r, c = row - row_step, column - column_step
    while 0 <= r < rows and 0 <= c < columns and cells[r * columns + c] == stone:
        length += 1
        r -= row_step
        c -= column_step
    return length


@njit(inline="always")
def makes_line(cells, rows, columns, row, column, line, exact):
    """Tell whether the stone on (row, column) is part of `line` equal stones in a row.

    exact: longer rows do not count; otherwise `line` or more do.
    """
    for row_step, column_step in ((0, 1), (1, 0), (1, 1), (1, -1)):
        length = line_length(cells, rows, columns, row, column, row_step, column_step)
        if length == line or (length > line and not exact):
            return True
    return False
