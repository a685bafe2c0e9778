"""Where on disk a sample is: a rank's shard (shard.py) and the row in it, as one integer.

A buffer keeps the origin of each of its samples, so that a checkpoint can name them instead of copying them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# The origin of a sample that is in no shard.
NOWHERE = -1
MAX_ROWS = 1 << 20
_MAX_NUMBER = 1 << 28
_MAX_RANK = 1 << 15


class ShardKey(NamedTuple):
    """The rank that wrote a shard, and the shard's number among those of that rank."""

    rank: int
    number: int

    def origin(self, row: int) -> int:
        """Return the origin of a row of this shard."""
        assert 0 <= self.rank < _MAX_RANK and 0 <= self.number < _MAX_NUMBER and 0 <= row < MAX_ROWS
        return ((self.rank << 28) + self.number) * MAX_ROWS + row


def shard_of(origin: int) -> ShardKey:
    """Return the shard of an origin other than NOWHERE."""
    code = int(origin) // MAX_ROWS
    return ShardKey(code >> 28, code % _MAX_NUMBER)


def rows_of(origins: np.ndarray) -> np.ndarray:
    """Return the rows `[n]` of origins `[n]` in their shards."""
    rows: np.ndarray = origins % MAX_ROWS
    return rows


def shards_in(origins: np.ndarray) -> list[tuple[ShardKey, np.ndarray]]:
    """Return each shard of origins `[n]`, and the ascending positions in them at which it occurs; not of NOWHERE."""
    order = np.argsort(origins // MAX_ROWS, kind="stable")
    codes = origins[order] // MAX_ROWS
    bounds = np.flatnonzero(np.diff(codes)) + 1
    groups = np.split(order, bounds) if len(order) else []
    return [(shard_of(origins[group[0]]), group) for group in groups if origins[group[0]] >= 0]


def to_runs(origins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return origins `[n]` as runs of consecutive rows: the first origin of each and its length, int64 `[k]`."""
    if len(origins) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(origins) != 1) + 1])
    lengths = np.diff(np.concatenate([starts, [len(origins)]]))
    return origins[starts].astype(np.int64), lengths.astype(np.int64)


def from_runs(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the origins `[n]` of runs. Raises ValueError if they are not runs of rows of shards."""
    is_valid = (
        starts.shape == lengths.shape
        and starts.ndim == 1
        and starts.dtype == lengths.dtype == np.int64
        and bool((starts >= 0).all() and (lengths > 0).all())
        and bool((starts % MAX_ROWS + lengths <= MAX_ROWS).all())
    )
    if not is_valid:
        raise ValueError("the origins of its samples are no runs of rows")
    ends = np.cumsum(lengths)
    offsets = np.repeat(starts - (ends - lengths), lengths)
    return np.arange(ends[-1] if len(ends) else 0) + offsets
