"""The ring keeps the newest samples, draws uniformly from its window, and resumes bit by bit."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from ddpzero.replay import Field, ReplayBuffer, samples_size_bytes, window_size
from ddpzero.replay.buffer import HELD_OUT, ORIGIN
from ddpzero.replay.origin import NOWHERE, ShardKey
from tests.replay.whole_states import columns_of, whole_state

SPEC = {
    "number": Field((), np.dtype(np.int64)),
    "observation": Field((3,), np.dtype(np.uint8)),
}


def samples(start: int, stop: int) -> dict[str, np.ndarray]:
    """Samples that carry their number, so that each can be told from all others."""
    numbers = np.arange(start, stop)
    return {
        "number": numbers,
        "observation": np.stack([numbers, numbers + 1, numbers + 2], axis=1).astype(np.uint8),
    }


def filled(capacity: int, num_inserted: int, chunk: int = 3, **options: float) -> ReplayBuffer:
    buffer = ReplayBuffer(SPEC, capacity, seed=7, **options)
    for start in range(0, num_inserted, chunk):
        buffer.add(samples(start, min(start + chunk, num_inserted)))
    return buffer


@pytest.mark.parametrize("chunk", [1, 3, 10, 25])
@pytest.mark.parametrize("num_inserted", [0, 1, 9, 10, 11, 57])
def test_the_newest_samples_are_kept_in_order_of_age(chunk, num_inserted):
    buffer = filled(10, num_inserted, chunk)
    kept = min(10, num_inserted)
    assert (buffer.num_samples, buffer.num_inserted) == (kept, num_inserted)
    arrays = columns_of(buffer)
    np.testing.assert_array_equal(arrays["number"], np.arange(num_inserted - kept, num_inserted))
    np.testing.assert_array_equal(arrays["observation"][:, 2], (arrays["number"] + 2) % 256)


def test_columns_of_a_sample_stay_together():
    batch = filled(50, 120).sample(500)
    np.testing.assert_array_equal(batch["observation"][:, 1], (batch["number"] + 1) % 256)


def test_draws_are_uniform_over_the_window():
    buffer = filled(100, 250)
    counts = np.bincount(buffer.sample(200_000)["number"], minlength=250)
    assert counts[:150].sum() == 0
    # 2,000 draws each: five standard deviations.
    assert np.abs(counts[150:] - 2000).max() < 5 * np.sqrt(2000)
    assert buffer.num_sampled == 200_000


def test_a_growing_window_leaves_out_old_samples_that_the_ring_still_holds():
    buffer = filled(1000, 800, window_start_samples=50, window_exponent=0.5)
    assert buffer.num_samples == 800
    assert buffer.window == window_size(800, 50, 0.5) == 200
    drawn = buffer.sample(5000)["number"]
    assert drawn.min() == 600 and drawn.max() == 799


def test_the_window_grows_as_the_power_law_says():
    """Twice the window for four times the data at exponent 0.5."""
    sizes = [window_size(n, 100, 0.5) for n in (0, 40, 100, 400, 1600, 6400)]
    assert sizes == [0, 40, 100, 200, 400, 800]


def test_exponent_one_leaves_only_the_capacity_as_a_limit():
    assert all(window_size(n, 7, 1.0) == n for n in range(0, 10_000_019, 99_991))
    assert filled(10, 57).window == 10


@pytest.mark.parametrize("exponent", [0.3, 0.65, 0.8, 1.0])
def test_the_window_never_shrinks_and_never_exceeds_the_data(exponent):
    sizes = [window_size(n, 64, exponent) for n in range(3000)]
    assert all(left <= right for left, right in itertools.pairwise(sizes))
    assert all(size <= n for n, size in enumerate(sizes))


@pytest.mark.parametrize("num_inserted", [30, 100, 257])
def test_resumed_draws_equal_those_of_a_buffer_that_never_stopped(num_inserted):
    options = {"window_start_samples": 10, "window_exponent": 0.9}
    kept = filled(100, num_inserted, **options)
    kept.sample(13)  # an odd number of draws: the generator keeps half a word
    arrays, meta = whole_state(kept)
    resumed = ReplayBuffer(SPEC, 100, seed=999, **options)
    resumed.add(samples(5000, 5040))
    resumed.restore(arrays, json.loads(json.dumps(meta)))
    for step in range(20):
        new = samples(1000 + 9 * step, 1009 + 9 * step)
        kept.add(new)
        resumed.add(new)
        left, right = kept.sample(17), resumed.sample(17)
        for name in SPEC:
            np.testing.assert_array_equal(left[name], right[name])
    assert kept.num_sampled == resumed.num_sampled and kept.num_inserted == resumed.num_inserted


def test_a_state_is_a_copy():
    buffer = filled(10, 10)
    arrays, meta = whole_state(buffer)
    before = json.dumps(meta)
    buffer.add(samples(50, 60))
    buffer.sample(4)
    np.testing.assert_array_equal(arrays["number"], np.arange(10))
    assert json.dumps(meta) == before


def test_a_smaller_capacity_keeps_the_newest_and_a_larger_one_keeps_all():
    arrays, meta = whole_state(filled(100, 250))
    for capacity, first in [(30, 220), (100, 150), (400, 150)]:
        buffer = ReplayBuffer(SPEC, capacity, seed=0)
        buffer.restore(arrays, meta)
        np.testing.assert_array_equal(columns_of(buffer)["number"], np.arange(first, 250))
        assert buffer.num_inserted == 250
        buffer.add(samples(250, 251))
        assert columns_of(buffer)["number"][-1] == 250


def test_a_state_that_is_not_one_is_refused_and_changes_nothing():
    buffer = filled(10, 25)
    arrays, meta = whole_state(buffer)
    expected = filled(10, 25).sample(50)["number"]
    for wrong in (
        {},
        {**meta, "num_inserted": "many"},
        {**meta, "num_inserted": 3},
        {**meta, "num_sampled": -1},
        {**meta, "generator": {"bit_generator": "MT19937"}},
        {**meta, "generator": None},
    ):
        with pytest.raises(ValueError, match="saved counters"):
            buffer.restore(arrays, wrong)
    with pytest.raises(ValueError, match="observation"):
        buffer.restore({"number": arrays["number"]}, meta)
    np.testing.assert_array_equal(buffer.sample(50)["number"], expected)


def test_equal_seeds_sample_equal_batches_and_others_do_not():
    left, right = filled(100, 100), filled(100, 100)
    np.testing.assert_array_equal(left.sample(64)["number"], right.sample(64)["number"])
    other = ReplayBuffer(SPEC, 100, seed=8)
    other.add(samples(0, 100))
    assert not np.array_equal(left.sample(64)["number"], other.sample(64)["number"])


def test_memory_is_what_was_stated():
    buffer = ReplayBuffer(SPEC, 1000, seed=0)
    assert samples_size_bytes(SPEC, 1000) == 11_000
    assert (
        buffer.size_bytes == 20_000
    )  # and a byte for each flag of holdout.py, eight for each origin


@pytest.mark.parametrize(
    "options", [{"capacity": 0}, {"window_exponent": 0.0}, {"window_exponent": 1.5}]
)
def test_arguments_out_of_range_are_a_mistake_of_the_caller(options):
    with pytest.raises(AssertionError):
        ReplayBuffer(SPEC, **{"capacity": 10, "seed": 0, **options})


# ------------------------------------------------------------------------ held out


def with_held_out(capacity: int = 100, held_out: range = range(20, 30)) -> ReplayBuffer:
    """A buffer of samples 0 to 99, of which some are held out."""
    buffer = ReplayBuffer(SPEC, capacity, seed=7)
    for number in range(100):
        buffer.add(samples(number, number + 1), is_held_out=number in held_out)
    return buffer


def test_held_out_samples_are_in_no_batch_and_all_others_are_equally_likely():
    buffer = with_held_out()
    counts = np.bincount(buffer.sample(90_000)["number"], minlength=100)
    assert counts[20:30].sum() == 0
    others = np.delete(counts, range(20, 30))
    assert np.abs(others - 1000).max() < 5 * np.sqrt(1000)
    assert (buffer.num_inserted, buffer.num_held_out, buffer.num_trainable) == (100, 10, 90)
    assert buffer.num_sampled == 90_000


def test_held_out_batches_depend_on_their_seed_alone_and_leave_training_as_it_was():
    buffer, untouched = with_held_out(), with_held_out()
    batch = buffer.sample_held_out(5000, seed=3)
    assert batch is not None
    assert set(batch["number"]) == set(range(20, 30))
    assert set(batch) == set(SPEC)
    np.testing.assert_array_equal(buffer.sample(64)["number"], untouched.sample(64)["number"])
    again = buffer.sample_held_out(5000, seed=3)
    assert again is not None
    np.testing.assert_array_equal(batch["number"], again["number"])
    assert buffer.num_sampled == 64


def test_held_out_samples_leave_the_window_like_all_others():
    buffer = with_held_out(capacity=50)
    assert buffer.sample_held_out(8, seed=0) is None
    assert buffer.num_held_out == 10
    assert filled(10, 10).sample_held_out(8, seed=0) is None


def test_few_rows_of_a_kind_in_a_large_window_are_found():
    buffer = with_held_out(held_out=range(50, 51))
    batch = buffer.sample_held_out(200, seed=0)
    assert batch is not None and set(batch["number"]) == {50}


def test_a_window_of_held_out_samples_alone_is_trained_on_rather_than_nothing():
    buffer = with_held_out(capacity=5, held_out=range(90, 100))
    assert set(buffer.sample(100)["number"]) == set(range(95, 100))


def test_a_restored_buffer_holds_out_the_same_samples():
    kept = with_held_out()
    kept.sample(13)
    arrays, meta = whole_state(kept)
    resumed = ReplayBuffer(SPEC, 100, seed=0)
    resumed.restore(arrays, json.loads(json.dumps(meta)))
    np.testing.assert_array_equal(kept.sample(500)["number"], resumed.sample(500)["number"])
    assert resumed.num_trainable == 90
    with pytest.raises(ValueError, match="num_held_out=3"):
        resumed.restore(arrays, {**meta, "num_held_out": 3})


def test_a_state_from_before_episodes_were_held_out_has_none():
    arrays, meta = whole_state(filled(100, 30))
    del arrays[HELD_OUT], meta["num_held_out"]
    buffer = ReplayBuffer(SPEC, 100, seed=0)
    buffer.restore(arrays, meta)
    assert (buffer.num_samples, buffer.num_held_out) == (30, 0)


# ------------------------------------------------------------------------ samples on disk

SHARD = ShardKey(rank=2, number=5)


def in_shards(capacity: int, num_inserted: int, rows: int = 10) -> tuple[ReplayBuffer, dict]:
    """A buffer whose samples are in shards of so many rows, and the columns of these shards."""
    buffer = ReplayBuffer(SPEC, capacity, seed=7)
    shards = {}
    for start in range(0, num_inserted, rows):
        key = ShardKey(0, start // rows)
        shards[key] = samples(start, min(start + rows, num_inserted))
        buffer.add(shards[key], origin=key.origin(0))
    return buffer, shards


@pytest.mark.parametrize("num_inserted", [5, 40, 57])
def test_a_buffer_comes_back_from_its_shards_bit_by_bit(num_inserted):
    kept, shards = in_shards(40, num_inserted)
    kept.sample(13)
    state = kept.state()
    resumed = ReplayBuffer(SPEC, 40, seed=999)
    resumed.add(samples(5000, 5030))
    assert resumed.restore_from_shards(state, shards.__getitem__) == []
    for step in range(20):
        new = samples(1000 + 9 * step, 1009 + 9 * step)
        for buffer in (kept, resumed):
            buffer.add(new, origin=ShardKey(1, step).origin(0))
        left, right = kept.sample(17), resumed.sample(17)
        for name in SPEC:
            np.testing.assert_array_equal(left[name], right[name])
    for name, array in kept.state().arrays.items():
        np.testing.assert_array_equal(array, resumed.state().arrays[name])


def test_a_smaller_capacity_loads_the_newest_samples_only():
    kept, shards = in_shards(100, 100)
    loaded = []
    resumed = ReplayBuffer(SPEC, 25, seed=0)
    resumed.restore_from_shards(kept.state(), lambda key: loaded.append(key) or shards[key])
    np.testing.assert_array_equal(columns_of(resumed)["number"], np.arange(75, 100))
    assert [key.number for key in loaded] == [7, 8, 9]


def test_samples_of_a_lost_shard_are_left_out_and_named():
    kept, shards = in_shards(100, 50)
    shards[ShardKey(0, 1)] = samples(0, 3)

    def load(key):
        if key.number == 3:
            raise ValueError("gone.")
        return shards[key]

    resumed = ReplayBuffer(SPEC, 100, seed=0)
    problems = resumed.restore_from_shards(kept.state(), load)
    assert problems == [
        "shard 1 of rank 0: it has only 3 samples.",
        "shard 3 of rank 0: gone.",
    ]
    left = [*range(10), *range(20, 30), *range(40, 50)]
    assert columns_of(resumed)["number"].tolist() == left
    assert (resumed.num_samples, resumed.num_inserted) == (30, 50)
    resumed.add(samples(50, 53))
    assert columns_of(resumed)["number"].tolist() == [*left, 50, 51, 52]


def test_without_any_shard_the_buffer_starts_over():
    kept, _ = in_shards(100, 50)
    resumed = ReplayBuffer(SPEC, 100, seed=0)
    assert len(resumed.restore_from_shards(kept.state(), lambda _: {})) == 5
    assert (resumed.num_samples, resumed.num_inserted, resumed.num_sampled) == (0, 0, 0)


def test_samples_in_no_shard_are_known_until_they_are_stored():
    buffer, _ = in_shards(40, 35)
    buffer.add(samples(35, 45))
    ages = buffer.without_origin()
    assert buffer.read(ages)["number"].tolist() == [*range(35, 45)]
    buffer.forget_origins([ShardKey(0, 2)])
    ages = buffer.without_origin()
    assert buffer.read(ages)["number"].tolist() == [*range(20, 30), *range(35, 45)]
    buffer.set_origins(ages, SHARD.origin(4))
    assert len(buffer.without_origin()) == 0
    origins = buffer.state().arrays[ORIGIN]
    assert origins[ages].tolist() == [SHARD.origin(row) for row in range(4, 24)]
    assert NOWHERE not in origins
