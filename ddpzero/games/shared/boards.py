"""Coordinates, symmetries as index permutations, and text boards, shared by many board games outside their kernels."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence

import numpy as np

COLUMN_LETTERS = string.ascii_lowercase
# Of columns and rows in SGF.
_SGF_LETTERS = string.ascii_letters
_LARGE_BOARD_ROWS = 9


def square_name(row: int, column: int, num_rows: int) -> str:
    """Name a cell as chess does: a letter for the column, then the row counted from the bottom ("d4")."""
    return f"{COLUMN_LETTERS[column]}{num_rows - row}"


def sgf_letters(row: int, column: int) -> str:
    """Name a cell as SGF does: a letter for the column, then one for the row, counted from the top ("dd")."""
    return f"{_SGF_LETTERS[column]}{_SGF_LETTERS[row]}"


def sgf_size(properties: Mapping[str, Sequence[str]], default: int) -> int:
    """Return the size of a square board in an SGF file: SZ[9] or SZ[9:9]. Raises ValueError for another one."""
    text = (properties.get("SZ") or [""])[0]
    if not text:
        return default
    width, _, height = text.partition(":")
    if not (width.isascii() and width.isdecimal() and len(width) <= 3 and height in ("", width)):
        raise ValueError(f"SZ[{text[:20]}] is not the size of a square board, such as SZ[9].")
    return int(width)


def parse_square(text: str, num_rows: int, num_columns: int) -> int:
    """Turn "d4" or "D4" into row * num_columns + column. Raises a ValueError that says what is allowed."""
    cleaned = text.strip().lower()
    column = COLUMN_LETTERS.find(cleaned[:1]) if cleaned else -1
    row = num_rows - int(cleaned[1:]) if cleaned[1:].isdecimal() else -1
    if not (0 <= column < num_columns and 0 <= row < num_rows):
        last = square_name(0, num_columns - 1, num_rows)
        raise ValueError(f"{text!r} is not a cell: give a letter and a number from a1 to {last}.")
    return row * num_columns + column


def upside_down(size: int, cell: int) -> int:
    """Convert a cell of a square board from rows counted from the top to rows counted from the bottom, or back."""
    row, column = divmod(cell, size)
    return size * (size - 1 - row) + column


def rectangle_symmetries(num_rows: int, num_columns: int) -> np.ndarray:
    """Return all rotations and reflections of a board: `[S, H * W]` int32; S is 8 on squares, else 4.

    The identity is the first. Entry [s, i] is the cell whose content moves to cell i: `moved = cells[symmetries[s]]`.
    """
    cells = np.arange(num_rows * num_columns, dtype=np.int32).reshape(num_rows, num_columns)
    turned = [cells, cells[:, ::-1], cells[::-1], cells[::-1, ::-1]]
    if num_rows == num_columns:
        turned += [board.T for board in turned]
    return np.stack([board.reshape(-1) for board in turned])


def draw_board(
    cells: np.ndarray,
    num_rows: int,
    num_columns: int,
    symbols: Sequence[str],
    last_cell: int | None,
    letters: str = COLUMN_LETTERS,
) -> str:
    """Return a board as text, nearly square in a terminal, with the last move in brackets.

    cells: integers that index `symbols`; the first H * W are the board, row-major. letters: names of the columns.
    Large boards have their letters and numbers on every side.
    """
    label_width = len(str(num_rows))
    header = " " * (label_width + 2) + " ".join(letters[:num_columns])
    is_large = num_rows > _LARGE_BOARD_ROWS
    lines = [header]
    for row in range(num_rows):
        label = f"{num_rows - row:>{label_width}}"
        line = f"{label} "
        for column in range(num_columns):
            cell = row * num_columns + column
            # The bracket after the last move replaces the blank before the next cell.
            before = "[" if cell == last_cell else "]" if column and cell - 1 == last_cell else " "
            line += before + symbols[int(cells[cell])]
        line += "]" if last_cell == (row + 1) * num_columns - 1 else " "
        lines.append(f"{line} {label.strip()}" if is_large else line.rstrip())
    if is_large:
        lines.append(header)
    return "\n".join(lines)
