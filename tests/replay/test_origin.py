"""A sample's place on disk as one integer, and many of them as runs."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.replay.origin import (
    MAX_ROWS,
    NOWHERE,
    ShardKey,
    from_runs,
    rows_of,
    shard_of,
    shards_in,
    to_runs,
)


@pytest.mark.parametrize("key", [ShardKey(0, 0), ShardKey(7, 3), ShardKey(2**15 - 1, 2**28 - 1)])
@pytest.mark.parametrize("row", [0, 1, MAX_ROWS - 1])
def test_an_origin_names_its_shard_and_row(key, row):
    origin = key.origin(row)
    assert 0 <= origin < 2**63
    assert shard_of(origin) == key
    assert rows_of(np.array([origin])).tolist() == [row]


def test_runs_say_the_same_as_the_origins():
    random = np.random.default_rng(0)
    for _ in range(100):
        numbers = np.sort(random.integers(50, size=random.integers(30)))
        origins = np.array(
            [ShardKey(int(n) % 3, int(n)).origin(int(n) % 7) for n in numbers], np.int64
        )
        origins = np.concatenate([origins, ShardKey(1, 60).origin(5) + np.arange(20)])
        starts, lengths = to_runs(origins)
        assert len(starts) <= len(numbers) + 1
        np.testing.assert_array_equal(from_runs(starts, lengths), origins)
    assert [len(array) for array in to_runs(np.zeros(0, np.int64))] == [0, 0]
    assert len(from_runs(*to_runs(np.zeros(0, np.int64)))) == 0


@pytest.mark.parametrize(
    ("starts", "lengths"),
    [([-1], [3]), ([5], [0]), ([5], [-2]), ([5], [MAX_ROWS]), ([5, 6], [1])],
)
def test_what_are_no_runs_of_rows_is_refused(starts, lengths):
    with pytest.raises(ValueError, match="no runs of rows"):
        from_runs(np.array(starts), np.array(lengths))


def test_positions_are_grouped_by_shard():
    a, b = ShardKey(0, 1), ShardKey(1, 0)
    origins = np.array([b.origin(2), a.origin(0), NOWHERE, b.origin(3), a.origin(9)])
    groups = [(key, positions.tolist()) for key, positions in shards_in(origins)]
    assert groups == [(a, [1, 4]), (b, [0, 3])]
    assert shards_in(np.zeros(0, np.int64)) == []
