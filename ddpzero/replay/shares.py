"""Whole numbers cut into even shares, for ranks and for actors."""

from __future__ import annotations


def even_share(total: int, num_parts: int, part: int) -> int:
    """Return how much of `total` the part gets: shares differ by at most one, the first parts get the larger ones."""
    return total // num_parts + (part < total % num_parts)
