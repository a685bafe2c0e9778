"""Renders curves as sparklines for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "_.-:=+*#"


def sparkline(values: Sequence[float | None], has_unicode: bool) -> str:
    """Return a curve as text, one character per value, scaled to the range of the values; None is a space."""
    blocks = _BLOCKS if has_unicode else _ASCII_BLOCKS
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, height = min(known), max(known) - min(known)
    if height <= 1e-9 * abs(low):
        return "".join(" " if value is None else blocks[3] for value in values)
    top = len(blocks) - 1
    return "".join(
        " " if value is None else blocks[round(top * ((value - low) / height))] for value in values
    )
