"""What many board games share outside the kernels: coordinates, symmetries as index permutations, text drawings."""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np

COLUMN_LETTERS = string.ascii_lowercase


def square_name(row: int, column: int, num_rows: int) -> str:
    """Name a cell as chess does: a letter for the column, then the row counted from the bottom ("d4")."""
    return f"{COLUMN_LETTERS[column]}{num_rows - row}"


def parse_square(text: str, num_rows: int, num_columns: int) -> int:
    """Turn "d4" or "D4" into row * num_columns + column; ValueError says what would be right."""
    cleaned = text.strip().lower()
    column = COLUMN_LETTERS.find(cleaned[:1]) if cleaned else -1
    row = num_rows - int(cleaned[1:]) if cleaned[1:].isdecimal() else -1
    if not (0 <= column < num_columns and 0 <= row < num_rows):
        last = square_name(0, num_columns - 1, num_rows)
        raise ValueError(f"{text!r} is not a cell: give a letter and a number from a1 to {last}.")
    return row * num_columns + column


def rectangle_symmetries(num_rows: int, num_columns: int) -> np.ndarray:
    """All rotations and reflections of a board: `[S, H * W]` int32, S = 8 on squares, else 4; the identity first.

    Entry [s, i] is the cell whose content moves to cell i: `moved = cells[symmetries[s]]`.
    """
    cells = np.arange(num_rows * num_columns, dtype=np.int32).reshape(num_rows, num_columns)
    turned = [cells, cells[:, ::-1], cells[::-1], cells[::-1, ::-1]]
    if num_rows == num_columns:
        turned += [board.T for board in turned]
    return np.stack([board.reshape(-1) for board in turned])


def draw_board(
    cells: np.ndarray, num_rows: int, num_columns: int, symbols: Sequence[str], last_cell: int | None
) -> str:
    """Draw a board as text with column letters and row numbers; the last move stands in brackets.

    cells: `[H * W]` integers that index `symbols`.
    """
    label_width = len(str(num_rows))
    header = " " * label_width + "".join(f"  {COLUMN_LETTERS[c]}" for c in range(num_columns))
    lines = [header]
    for row in range(num_rows):
        line = f"{num_rows - row:>{label_width}} "
        for column in range(num_columns):
            cell = row * num_columns + column
            symbol = symbols[int(cells[cell])]
            line += f"[{symbol}]" if cell == last_cell else f" {symbol} "
        lines.append(line.rstrip())
    return "\n".join(lines)
