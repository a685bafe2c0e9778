"""Lines of equal stones on a rectangular board, for every game that is won by a row of them."""

from __future__ import annotations

import numpy as np

from ddpzero.games.compiled import compiled


@compiled(forceinline=True)
def run_length(cells, cell, stride, room, reach):
    """Count the stones equal to the one on `cell` that follow it without a gap in one direction.

    cells: integer array whose first entries are the board, row-major.
    stride: what leads from a cell to the next one; room: cells up to the edge of the board.
    reach: no more than so many cells are looked at.
    """
    # No branch depends on the stones: in random play each such branch would be a coin flip to the processor,
    # and a loop up to the first other stone takes four times as long as this one, which is unrolled
    # (reach is a constant of the game). Unsigned indices save the test for negative ones.
    stone = cells[np.uint64(cell)]
    length = 0
    unbroken = True
    for distance in range(1, reach + 1):
        on_board = distance <= room
        other = cell + distance * stride if on_board else cell
        unbroken &= on_board & (cells[np.uint64(other)] == stone)
        length += unbroken
    return length


@compiled(forceinline=True)
def makes_line(cells, rows, columns, row, column, line, exact):
    """Tell whether the stone on (row, column) is part of `line` equal stones in a row.

    cells: integer array whose first rows * columns entries are the board, row-major.
    exact: longer rows do not count; otherwise `line` or more do.
    """
    cell = row * columns + column
    up, down, left, right = row, rows - 1 - row, column, columns - 1 - column
    # `line` stones further on would be one too many already: looking there tells whether a row is too long.
    reach = line if exact else line - 1
    horizontal = (
        1 + run_length(cells, cell, -1, left, reach) + run_length(cells, cell, 1, right, reach)
    )
    vertical = (
        1
        + run_length(cells, cell, -columns, up, reach)
        + run_length(cells, cell, columns, down, reach)
    )
    falling = (
        1
        + run_length(cells, cell, -columns - 1, min(up, left), reach)
        + run_length(cells, cell, columns + 1, min(down, right), reach)
    )
    rising = (
        1
        + run_length(cells, cell, -columns + 1, min(up, right), reach)
        + run_length(cells, cell, columns - 1, min(down, left), reach)
    )
    if exact:
        return (horizontal == line) | (vertical == line) | (falling == line) | (rising == line)
    return (horizontal >= line) | (vertical >= line) | (falling >= line) | (rising >= line)
