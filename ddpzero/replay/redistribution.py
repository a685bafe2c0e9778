"""Distributes the samples of a checkpoint among another number of ranks. Pure; called once, before the first step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddpzero.replay.buffer import HELD_OUT, ReplayState
from ddpzero.replay.shares import even_share


def shares(
    num_samples: Sequence[int], new_world_size: int, rank: int
) -> list[tuple[int, np.ndarray]]:
    """Return which rows of the old ranks' buffers the new `rank` takes: `(old_rank, rows)`, rows from oldest to newest.

    All samples are ordered by age (the newest of every old rank first, ties by old rank) and assigned to the new ranks
    in turn. Each new rank thus gets samples of all ages from all old ranks, sizes differ by at most one, and every
    sample is taken exactly once over all new ranks.

    num_samples: per old rank. Returns one entry per old rank; rows ascend, row 0 being that rank's oldest.
    """
    counts = np.asarray(num_samples, dtype=np.int64)
    result = []
    for old_rank, count in enumerate(counts):
        rows = np.arange(count)
        card = _card_numbers(counts, old_rank, rows)
        result.append((old_rank, rows[card % new_world_size == rank]))
    return result


def redistribute(states: Sequence[ReplayState], new_world_size: int, rank: int) -> ReplayState:
    """Return the new `rank`'s share of the buffers that `len(states)` old ranks saved.

    With an unchanged number of ranks this is the rank's previous state, so that sampling continues bit by bit.
    Otherwise samples are distributed as in `shares` and stay ordered by age; the counters num_inserted, num_held_out
    and num_sampled are divided, so that their sums over all ranks and the samples_per_insert balance do not change;
    each rank samples with a new generator derived from the old ones. A share above a rank's capacity loses its oldest
    samples at `restore`.

    states: by old rank. Their arrays may be memory maps: only the rows of the share are read.
    """
    if len(states) == new_world_size:
        return states[rank]
    counts = [_num_samples(state) for state in states]
    taken = shares(counts, new_world_size, rank)
    cards = [_card_numbers(np.asarray(counts), old_rank, rows) for old_rank, rows in taken]
    oldest_first = np.argsort(-np.concatenate(cards))
    arrays = {
        name: np.concatenate([states[old_rank].arrays[name][rows] for old_rank, rows in taken])[
            oldest_first
        ]
        for name in states[0].arrays
    }
    meta: dict[str, Any] = {
        name: even_share(sum(state.meta[name] for state in states), new_world_size, rank)
        for name in ("num_inserted", "num_sampled")
    }
    meta["num_held_out"] = min(
        _num_held_out(states, arrays, new_world_size, rank), meta["num_inserted"]
    )
    meta["generator"] = _derived_generator(states, new_world_size, rank)
    return ReplayState(arrays, meta)


def _num_held_out(
    states: Sequence[ReplayState], taken: dict[str, np.ndarray], new_world_size: int, rank: int
) -> int:
    """Return the held-out samples among those taken, and an even share of those that are no longer stored."""
    if HELD_OUT not in taken:
        return 0
    inserted = sum(state.meta.get("num_held_out", 0) for state in states)
    stored = sum(int(state.arrays[HELD_OUT].sum()) for state in states)
    past = even_share(max(0, inserted - stored), new_world_size, rank)
    return int(taken[HELD_OUT].sum()) + past


def _card_numbers(counts: np.ndarray, old_rank: int, rows: np.ndarray) -> np.ndarray:
    """Return the indices of an old rank's rows in the common order; 0 is the newest sample of old rank 0."""
    ages = counts[old_rank] - 1 - rows
    newer = sum(np.minimum(ages, count) for count in counts)
    same_age = sum((counts[other] > ages).astype(np.int64) for other in range(old_rank))
    return newer + same_age


def _num_samples(state: ReplayState) -> int:
    return len(next(iter(state.arrays.values())))


def _derived_generator(
    states: Sequence[ReplayState], new_world_size: int, rank: int
) -> dict[str, Any]:
    entropy = [state.meta["generator"]["state"]["state"] for state in states]
    return dict(np.random.PCG64(np.random.SeedSequence([*entropy, new_world_size, rank])).state)
