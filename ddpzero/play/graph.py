"""A curve of shares as text, a few lines high."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_ASCII = "  ..::##"
_LABELS = {1.0: "100%", 0.5: " 50%", 0.0: "  0%"}


def share_graph(
    shares: Sequence[float], num_columns: int, num_rows: int, has_unicode: bool
) -> list[str]:
    """Return lines with a bar for each share in [0, 1], labeled at 100, 50 and 0 %.

    num_rows: odd, so that one line is at 50 %. More shares than columns become means; few are drawn several columns
    wide.
    """
    columns = _fitted(np.asarray(shares, dtype=np.float64), num_columns)
    blocks = _EIGHTHS if has_unicode else _ASCII
    heights = columns * num_rows
    lines = []
    for row in reversed(range(num_rows)):
        filled = np.clip(heights - row, 0.0, 1.0)
        bar = "".join(blocks[round(part * (len(blocks) - 1))] for part in filled)
        if row == 0:
            # A share of 0 is one, too, and not the end of the curve.
            bar = bar.replace(" ", blocks.strip()[0])
        label = _LABELS.get(row / (num_rows - 1), "")
        lines.append(f"{label:>4} {'┤' if has_unicode else '|'}{bar}")
    return lines


def column_of(index: int, num_shares: int, num_columns: int) -> int:
    """Return the first column of a share in the bars of share_graph."""
    if num_shares > num_columns:
        return index * num_columns // num_shares
    return index * (num_columns // num_shares)


def _fitted(shares: np.ndarray, num_columns: int) -> np.ndarray:
    if len(shares) > num_columns:
        edges = np.arange(num_columns + 1) * len(shares) // num_columns
        return np.array([shares[a:b].mean() for a, b in pairwise(edges)])
    return np.repeat(shares, max(1, num_columns // max(1, len(shares))))
