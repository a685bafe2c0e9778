"""Lines of equal stones on a rectangular board, for every game that is won by such a line."""

from __future__ import annotations

import numpy as np

from ddpzero.games.core.compiled import compiled


@compiled
def run_length(cells, cell, stride, room):
    """Count the stones equal to the one on `cell` that follow it without a gap in one direction.

    cells: integer array whose first entries are the board, row-major.
    stride: difference between the indices of a cell and the next one; room: number of cells from `cell` to the edge.
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
    """Return whether the stone on (row, column) is part of `line` equal stones in a row.

    cells: integer array whose first rows * columns entries are the board, row-major.
    exact: exactly `line` stones count; otherwise `line` or more.
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


def cells_in_lines(
    cells: np.ndarray, rows: int, columns: int, line: int, exact: bool = False
) -> list[int]:
    """Return the cells of all lines of `line` or more equal stones, in plain Python, for people.

    cells: integers, 0 for empty; the first rows * columns entries are the board, row-major.
    exact: only lines of exactly `line` stones count.
    """
    board = [
        [int(cells[columns * row + column]) for column in range(columns)] for row in range(rows)
    ]
    found: set[int] = set()
    for row in range(rows):
        for column in range(columns):
            for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
                run = _run(board, row, column, down, right)
                if len(run) == line or (len(run) > line and not exact):
                    found.update(columns * there + across for there, across in run)
    return sorted(found)


def _run(
    board: list[list[int]], row: int, column: int, down: int, right: int
) -> list[tuple[int, int]]:
    """Return the line of equal stones that begins on a cell; empty if the cell before it has an equal stone."""

    def stone(row: int, column: int) -> int:
        is_there = 0 <= row < len(board) and 0 <= column < len(board[0])
        return board[row][column] if is_there else 0

    player = stone(row, column)
    if player == 0 or stone(row - down, column - right) == player:
        return []
    run = []
    while stone(row, column) == player:
        run.append((row, column))
        row, column = row + down, column + right
    return run
