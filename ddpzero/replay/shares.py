"""Divides integers into even shares, for ranks and for actors."""

from __future__ import annotations


def even_share(total: int, num_parts: int, part: int) -> int:
    """Return one part's share of `total`; shares differ by at most one, and the first parts get the larger ones."""
    return total // num_parts + (part < total % num_parts)
