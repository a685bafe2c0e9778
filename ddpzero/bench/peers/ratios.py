"""Medians of slices and of ratios of slices measured in turn, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from statistics import median
from typing import NamedTuple

_MOST_OUTSIDE = 0.05


class Estimate(NamedTuple):
    """A median; low, high: an interval that contains the true median with 95 % probability, or the range of a few."""

    value: float
    low: float
    high: float


def estimate(values: Sequence[float]) -> Estimate:
    """Return the median of one or more independent values, whatever their distribution.

    The interval is that of the sign test, between the k-th lowest and the k-th highest value. For less than six values,
    whose range contains the true median less often, it is their range.
    """
    ordered = sorted(values)
    k = _rank(len(ordered))
    return Estimate(median(ordered), ordered[k - 1], ordered[-k])


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Return the median of the ratios of rates that were measured in the same rounds."""
    return estimate([own / other for own, other in zip(ours, theirs, strict=True)])


def _rank(num_values: int) -> int:
    """Return the largest k for which the true median lies outside with a probability of at most 5 %; at least 1."""
    k, outside = 1, 0.0
    for num_below in range(num_values // 2):
        outside += 2 * comb(num_values, num_below) / 2**num_values
        if outside > _MOST_OUTSIDE:
            break
        k = num_below + 1
    return k
