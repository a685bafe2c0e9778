"""A table of numbers for the terminal: where it is narrow, headings wrap, and no digit is lost."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

# Of each column, and one line more at the end of the table.
_FRAME_WIDTH = 3


def number_table(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Table:
    """Return a table whose columns are as wide as their cells at least. rows: a text for each heading.

    width: of the terminal, which a table whose cells need more exceeds.
    """
    needed = [max(map(len, cells), default=1) for cells in zip(*rows, strict=True)]
    needed = needed or [1] * len(headings)
    widths = [max(len(heading), most) for heading, most in zip(headings, needed, strict=True)]
    for _ in range(sum(widths) + _FRAME_WIDTH * len(widths) + 1 - width):
        # Rich itself would narrow columns below their cells.
        spare = [number for number, most in enumerate(needed) if widths[number] > max(most, 1)]
        if not spare:
            break
        widths[max(spare, key=lambda number: widths[number])] -= 1
    table = Table()
    for heading, column_width in zip(headings, widths, strict=True):
        table.add_column(heading, justify="right", overflow="fold", width=column_width)
    for row in rows:
        table.add_row(*row)
    return table
