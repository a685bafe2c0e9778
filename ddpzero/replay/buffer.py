"""One rank's ring buffer of samples in preallocated arrays. Used only by that rank's learner.

Another thread may call `sample` meanwhile, and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from ddpzero.replay.origin import NOWHERE, ShardKey, rows_of, shards_in
from ddpzero.replay.row_choice import RandomWords, WordPosition, choose_rows
from ddpzero.replay.sample import (
    Field,
    SampleSpec,
    adapted_columns,
    check_columns,
    check_values,
    samples_size_bytes,
)
from ddpzero.replay.window import window_size

# The arrays beside the columns of the sample spec: flags, and where a sample is on disk (origin.py).
HELD_OUT = "is_held_out"
ORIGIN = "origin"


class ReplayState(NamedTuple):
    """The state of a buffer, as a checkpoint stores it.

    arrays: HELD_OUT and ORIGIN -> `[num_samples]`, oldest first. In checkpoints of format 1, the columns of the samples
    themselves instead of ORIGIN, and HELD_OUT may be missing.
    meta: JSON-able: `num_inserted`, `num_held_out`, `num_sampled`, `generator` (state of numpy's PCG64).
    """

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]


class SamplingState(NamedTuple):
    """What the choice of the next batch depends on, apart from the samples. words: the place in the random words."""

    words: WordPosition
    num_sampled: int


class ReplayBuffer:
    """The newest `capacity` samples of one rank; batches are sampled uniformly from a window of the newest of them.

    Held-out samples (holdout.py) are stored among the others, so that both kinds have the same ages, but `sample` never
    returns them.

    seed: of the sampling. window_start_samples, window_exponent: see `window_size`; the default window is the buffer.
    num_inserted: samples since the start of the run; num_held_out: those of them that were held out.

    All memory is allocated at construction (`size_bytes`) and used as samples arrive.
    """

    def __init__(
        self,
        spec: SampleSpec,
        capacity: int,
        seed: int,
        window_start_samples: int = 1,
        window_exponent: float = 1.0,
    ) -> None:
        assert min(capacity, window_start_samples) >= 1
        assert 0 < window_exponent <= 1
        assert HELD_OUT not in spec and ORIGIN not in spec
        # What is stored: batches have the columns of `spec` only.
        self._stored_spec: SampleSpec = {
            **spec,
            HELD_OUT: Field((), np.dtype(np.bool_)),
            ORIGIN: Field((), np.dtype(np.int64)),
        }
        self.spec = spec
        self.capacity = capacity
        self.num_inserted = 0
        self.num_held_out = 0
        self.num_sampled = 0
        self.num_samples = 0
        self._window_start_samples = window_start_samples
        self._window_exponent = window_exponent
        self._words = RandomWords(np.random.PCG64(seed))
        self._next_row = 0
        # A batch has whole samples: none is overwritten while it is read.
        self._lock = threading.Lock()
        self._arrays = {
            name: np.empty((capacity, *field.shape), field.dtype)
            for name, field in self._stored_spec.items()
        }

    @property
    def size_bytes(self) -> int:
        return samples_size_bytes(self._stored_spec, self.capacity)

    @property
    def window(self) -> int:
        """The number of newest samples that batches are sampled from now."""
        size = window_size(self.num_inserted, self._window_start_samples, self._window_exponent)
        return min(size, self.num_samples)

    @property
    def num_trainable(self) -> int:
        """The number of samples for training since the start of the run: all but the held-out ones."""
        return self.num_inserted - self.num_held_out

    def add(
        self,
        columns: Mapping[str, np.ndarray],
        is_held_out: bool = False,
        origin: int = NOWHERE,
    ) -> None:
        """Insert samples `[n, *shape]` in order of age; the oldest make room. Raises ValueError for wrong columns.

        is_held_out: whether they are samples of a held-out episode. origin: of the first one; the others follow it.
        """
        num_new = check_columns(self.spec, columns)
        origins = np.full(num_new, NOWHERE) if origin == NOWHERE else origin + np.arange(num_new)
        columns = {**columns, HELD_OUT: np.full(num_new, is_held_out), ORIGIN: origins}
        with self._lock:
            self.num_inserted += num_new
            self.num_held_out += num_new if is_held_out else 0
            self._append(columns, num_new)

    def sample(self, batch_size: int) -> dict[str, np.ndarray]:
        """Return `[batch_size, *shape]`, sampled uniformly with replacement, in new arrays. The buffer is not empty.

        If every sample in the window is held out, sample from those.
        """
        assert self.num_samples > 0, "sample only after min_samples"
        with self._lock:
            rows = self._rows_of_kind(False, batch_size, self._words)
            if rows is None:
                rows = self._words.draw(lambda generator: self._rows(batch_size, generator))
            self.num_sampled += batch_size
            return self._batch(rows)

    def sampling_state(self) -> SamplingState:
        """Return what `return_to` needs to take back the batches that are sampled from now on."""
        return SamplingState(self._words.position(), self.num_sampled)

    def return_to(self, state: SamplingState) -> None:
        """Sample on as if no batch had been sampled since `sampling_state`."""
        self._words.return_to(state.words)
        self.num_sampled = state.num_sampled

    def sample_held_out(self, batch_size: int, seed: int) -> dict[str, np.ndarray] | None:
        """Return held-out samples like those of `sample`; None if the window has none.

        They depend on the seed, not on earlier calls, and do not change what `sample` returns later.
        """
        if self.num_held_out == 0:
            return None
        rows = self._rows_of_kind(True, batch_size, RandomWords(np.random.PCG64(seed)))
        return None if rows is None else self._batch(rows)

    def _batch(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        return {name: self._arrays[name].take(rows, axis=0) for name in self.spec}

    def _rows(self, num_rows: int, generator: np.random.Generator) -> np.ndarray:
        ages = generator.integers(self.window, size=num_rows)
        rows: np.ndarray = (self._next_row - 1 - ages) % self.capacity
        return rows

    def _rows_of_kind(
        self, is_held_out: bool, num_rows: int, words: RandomWords
    ) -> np.ndarray | None:
        """Sample rows of the window that are held out or not; None if it has none of that kind."""
        flags, newest_row = self._arrays[HELD_OUT], (self._next_row - 1) % self.capacity
        rows = choose_rows(words, self.window, newest_row, flags, is_held_out, num_rows)
        if rows is not None:
            return rows
        window = np.arange(self._next_row - self.window, self._next_row) % self.capacity
        candidates = window[flags[window] == is_held_out]
        if not len(candidates):
            return None
        return words.draw(lambda generator: generator.choice(candidates, num_rows))

    def read(self, ages: np.ndarray) -> dict[str, np.ndarray]:
        """Return a copy of the columns `[n, *shape]` of some samples, and HELD_OUT. ages: `[n]`, 0 is the oldest."""
        rows = self._rows_of_ages(ages)
        return {name: self._arrays[name].take(rows, axis=0) for name in (*self.spec, HELD_OUT)}

    def without_origin(self) -> np.ndarray:
        """Return the ages `[n]`, ascending, of the samples that are in no shard. Ages: see `read`."""
        origins = self._arrays[ORIGIN].take(self._rows_of_ages(np.arange(self.num_samples)))
        return np.flatnonzero(origins == NOWHERE)

    def set_origins(self, ages: np.ndarray, origin: int) -> None:
        """Note that samples are in a shard now. ages: see `read`. origin: of the first; the others follow it."""
        self._arrays[ORIGIN][self._rows_of_ages(ages)] = origin + np.arange(len(ages))

    def forget_origins(self, shards: Collection[ShardKey]) -> None:
        """Note that these shards do not exist."""
        origins = self._arrays[ORIGIN][: self.num_samples]
        for key, rows in shards_in(origins):
            if key in shards:
                origins[rows] = NOWHERE

    def _rows_of_ages(self, ages: np.ndarray) -> np.ndarray:
        rows: np.ndarray = (self._next_row - self.num_samples + ages) % self.capacity
        return rows

    def state(self) -> ReplayState:
        """Return everything that later batches depend on, if each sample is in a shard."""
        rows = self._rows_of_ages(np.arange(self.num_samples))
        arrays = {name: self._arrays[name].take(rows) for name in (HELD_OUT, ORIGIN)}
        meta = {
            "num_inserted": self.num_inserted,
            "num_held_out": self.num_held_out,
            "num_sampled": self.num_sampled,
            "generator": self._words.generator().state,
        }
        return ReplayState(arrays, meta)

    def clear(self) -> None:
        """Remove all samples and reset the counters; the random generator continues."""
        self.num_inserted = self.num_held_out = self.num_sampled = 0
        self.num_samples = self._next_row = 0

    def restore(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Restore the columns and counters of a buffer; sampling continues bit by bit. With a smaller capacity keep the
        newest samples.

        arrays: columns as in `read`. Without HELD_OUT, from before episodes were held out, none of them is. Raises
        ValueError if they or their values violate the spec, or if meta is invalid; the buffer is then unchanged.
        """
        num_rows = len(next(iter(arrays.values()), ()))
        added = {HELD_OUT: np.zeros(num_rows, np.bool_), ORIGIN: np.full(num_rows, NOWHERE)}
        arrays = {**added, **arrays}
        num_samples = check_columns(self._stored_spec, arrays)
        check_values(self._stored_spec, arrays)
        self._restore_meta(meta, num_samples, int(arrays[HELD_OUT].sum()))
        self._append(arrays, num_samples)

    def restore_from_shards(
        self, state: ReplayState, load: Callable[[ShardKey], Mapping[str, np.ndarray]]
    ) -> list[str]:
        """Restore a state of `state`; sampling continues bit by bit. With a smaller capacity keep the newest samples.

        load: returns the columns of a shard, as this buffer's spec has them; raises ValueError if it cannot. Samples of
        such a shard, and of one with values that violate the spec, are left out; returns the reasons. Raises ValueError
        for an invalid meta; the buffer is then unchanged.
        """
        origins, is_held_out = state.arrays[ORIGIN], state.arrays[HELD_OUT]
        num_samples = len(origins)
        if is_held_out.shape != origins.shape:
            raise ValueError("the replay buffer's saved flags and origins have different lengths.")
        self._restore_meta(state.meta, num_samples, int(is_held_out.sum()))
        first = max(0, num_samples - self.capacity)
        origins, is_held_out = origins[first:], is_held_out[first:]
        is_there = np.zeros(len(origins), np.bool_)
        problems = []
        for key, positions in shards_in(origins):
            try:
                taken = self._rows_of_shard(load(key), rows_of(origins[positions]))
            except ValueError as error:
                problems.append(f"shard {key.number} of rank {key.rank}: {error}")
                continue
            is_there[positions] = True
            for name, column in taken.items():
                self._arrays[name][positions] = column
        self._arrays[HELD_OUT][: len(origins)] = is_held_out
        self._arrays[ORIGIN][: len(origins)] = origins
        self._keep_only(is_there)
        return problems

    def _rows_of_shard(
        self, columns: Mapping[str, np.ndarray], rows: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return rows of a shard. Raises ValueError unless they and their values fit the spec."""
        num_rows = check_columns(self.spec, columns)
        if rows.max(initial=-1) >= num_rows:
            raise ValueError(f"it has only {num_rows} samples.")
        taken = {name: column[rows] for name, column in columns.items()}
        check_values(self.spec, taken)
        return taken

    def _keep_only(self, is_there: np.ndarray) -> None:
        """Let the ring begin with the rows `[n]` of its first n that are there; without any, start over."""
        rows = np.flatnonzero(is_there)
        if len(rows) < len(is_there):
            for array in self._arrays.values():
                array[: len(rows)] = array[rows]
        if len(is_there) and not len(rows):
            self.clear()
        self.num_samples = len(rows)
        self._next_row = self.num_samples % self.capacity

    def _restore_meta(
        self, meta: Mapping[str, Any], num_samples: int, num_held_out_now: int
    ) -> None:
        """Restore the counters and the generator of an empty buffer. Raises ValueError, and then changes nothing."""
        generator = np.random.PCG64()
        try:
            num_inserted, num_sampled = meta["num_inserted"], meta["num_sampled"]
            num_held_out = meta.get("num_held_out", 0)
            generator.state = meta["generator"]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"the replay buffer's saved counters are invalid: {error!r}."
            ) from None
        counts = (num_inserted, num_sampled, num_held_out)
        if not (
            all(type(count) is int and 0 <= count < 2**63 for count in counts)
            and num_samples <= num_inserted
            and num_held_out_now <= num_held_out <= num_inserted
        ):
            raise ValueError(
                f"the replay buffer's saved counters contradict its {num_samples} samples: "
                f"num_inserted={num_inserted}, num_sampled={num_sampled}, num_held_out={num_held_out}."
            )
        self._words = RandomWords(generator)
        self.num_inserted, self.num_sampled = num_inserted, num_sampled
        self.num_held_out = num_held_out
        self.num_samples = self._next_row = 0

    def adapted(self, arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
        """Return the arrays of a state that was saved with another spec as this buffer restores them.

        Also returns a sentence on each change; see adapted_columns.
        """
        columns = {name: array for name, array in arrays.items() if name != HELD_OUT}
        adapted, sentences = adapted_columns(self.spec, columns)
        if HELD_OUT in arrays:
            adapted[HELD_OUT] = arrays[HELD_OUT]
        return adapted, sentences

    def _append(self, columns: Mapping[str, np.ndarray], num_new: int) -> None:
        num_kept = min(num_new, self.capacity)
        num_before_wrap = min(num_kept, self.capacity - self._next_row)
        for name, array in self._arrays.items():
            kept = columns[name][num_new - num_kept :]
            array[self._next_row : self._next_row + num_before_wrap] = kept[:num_before_wrap]
            array[: num_kept - num_before_wrap] = kept[num_before_wrap:]
        self._next_row = (self._next_row + num_kept) % self.capacity
        self.num_samples = min(self.num_samples + num_kept, self.capacity)
