"""Resuming with another number of ranks loses nothing, doubles nothing, and mixes ages."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ddpzero.replay import Field, ReplayBuffer, ReplayState, redistribute, shares
from tests.replay.whole_states import columns_of, whole_state

SPEC = {
    "rank": Field((), np.dtype(np.int16)),
    "number": Field((), np.dtype(np.int64)),
    "plane": Field((2,), np.dtype(np.float32)),
}


def states(counts: list[int], capacity: int = 1000) -> list[ReplayState]:
    """Rank r has inserted counts[r] samples, numbered in order of age."""
    result = []
    for rank, count in enumerate(counts):
        buffer = ReplayBuffer(SPEC, capacity, seed=rank)
        numbers = np.arange(count)
        plane = np.stack([numbers, -numbers], axis=1).astype(np.float32)
        buffer.add({"rank": np.full(count, rank, np.int16), "number": numbers, "plane": plane})
        if count:
            buffer.sample(10 * (rank + 1))
        result.append(whole_state(buffer))
    return result


def names(state: ReplayState) -> list[tuple[int, int]]:
    return list(zip(state.arrays["rank"].tolist(), state.arrays["number"].tolist(), strict=True))


@pytest.mark.parametrize("counts", [[40], [40, 40], [10, 95, 3], [0, 20], [7, 7, 7, 7, 7]])
@pytest.mark.parametrize("new_world_size", [1, 2, 3, 8])
def test_nothing_is_lost_and_nothing_doubled(counts, new_world_size):
    old = states(counts)
    new = [redistribute(old, new_world_size, rank) for rank in range(new_world_size)]
    everything = [name for state in old for name in names(state)]
    assert sorted(name for state in new for name in names(state)) == sorted(everything)
    for state in new:
        np.testing.assert_array_equal(state.arrays["plane"][:, 1], -state.arrays["number"])
    for counter in ("num_inserted", "num_sampled"):
        total = sum(state.meta[counter] for state in old)
        assert sum(state.meta[counter] for state in new) == total


def test_every_new_rank_gets_all_ages_of_all_old_ranks_oldest_first():
    """Two ranks of 4 become four: cards are dealt from the newest, rank 0 before rank 1."""
    new = [redistribute(states([4, 4]), 4, rank) for rank in range(4)]
    assert [names(state) for state in new] == [
        [(0, 1), (0, 3)],
        [(1, 1), (1, 3)],
        [(0, 0), (0, 2)],
        [(1, 0), (1, 2)],
    ]
    assert names(redistribute(states([3, 2]), 1, 0)) == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]


def test_shares_differ_by_at_most_one_sample():
    sizes = [len(names(redistribute(states([100, 13, 40]), 4, rank))) for rank in range(4)]
    assert sum(sizes) == 153 and max(sizes) - min(sizes) <= 1


def test_as_many_ranks_as_before_resume_bit_by_bit():
    old = states([30, 50])
    assert redistribute(old, 2, 1) is old[1]


def test_a_share_can_be_restored_and_ranks_draw_differently():
    old = states([1200, 1500])  # both rings are full
    draws = []
    for rank in range(4):
        share = redistribute(old, 4, rank)
        buffer = ReplayBuffer(SPEC, 1000, seed=0)
        buffer.restore(share.arrays, json.loads(json.dumps(share.meta)))
        assert buffer.num_samples == 500 and buffer.num_inserted == 675
        draws.append(buffer.sample(32)["number"].tolist())
    assert len({tuple(draw) for draw in draws}) == 4


def test_fewer_ranks_keep_the_newest_of_all_old_ranks():
    share = redistribute(states([1000, 1000]), 1, 0)
    buffer = ReplayBuffer(SPEC, 1000, seed=0)
    buffer.restore(share.arrays, share.meta)
    kept = columns_of(buffer)
    assert [np.sum(kept["rank"] == rank) for rank in (0, 1)] == [500, 500]
    assert kept["number"].min() == 500


def test_rows_of_shares_are_a_partition():
    for rank_rows in zip(*(shares([9, 4], 3, rank) for rank in range(3)), strict=True):
        assert len({old_rank for old_rank, _ in rank_rows}) == 1
        rows = np.concatenate([rows for _, rows in rank_rows])
        assert len(set(rows.tolist())) == len(rows)


@pytest.mark.parametrize("new_world_size", [1, 3])
def test_held_out_samples_stay_held_out_and_their_number_is_kept(new_world_size):
    old = []
    for rank in range(2):
        buffer = ReplayBuffer(SPEC, 30, seed=rank)
        for number in range(50):
            row = {
                "rank": np.full(1, rank, np.int16),
                "number": np.array([number]),
                "plane": np.zeros((1, 2), np.float32),
            }
            buffer.add(row, is_held_out=number % 5 == 0)
        old.append(whole_state(buffer))
    counts = []
    for rank in range(new_world_size):
        buffer = ReplayBuffer(SPEC, 1000, seed=9)
        buffer.restore(*redistribute(old, new_world_size, rank))
        assert not (buffer.sample(200)["number"] % 5 == 0).any()
        batch = buffer.sample_held_out(50, seed=0)
        assert batch is not None and (batch["number"] % 5 == 0).all()
        counts.append((buffer.num_inserted, buffer.num_held_out))
    assert np.sum(counts, axis=0).tolist() == [100, 20]
