"""One rank's ring buffer of samples in preallocated arrays. Used only by that rank's learner, from one thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ddpzero.replay.sample import (
    Field,
    SampleSpec,
    adapted_columns,
    check_columns,
    check_values,
    samples_size_bytes,
)
from ddpzero.replay.window import window_size

# The array of flags in a buffer's state, beside the columns of the sample spec.
HELD_OUT = "is_held_out"

# Rounds of sampling in which a batch may lack rows of one kind before all of them are listed.
_MAX_ROUNDS = 64


class ReplayState(NamedTuple):
    """The state of a buffer, as a checkpoint stores it.

    arrays: name -> `[num_samples, *shape]`, oldest first; HELD_OUT among them.
    meta: JSON-able: `num_inserted`, `num_held_out`, `num_sampled`, `generator` (state of numpy's PCG64).
    """

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]


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
        assert HELD_OUT not in spec
        # What is stored: batches have the columns of `spec` only.
        self._stored_spec: SampleSpec = {**spec, HELD_OUT: Field((), np.dtype(np.bool_))}
        self.spec = spec
        self.capacity = capacity
        self.num_inserted = 0
        self.num_held_out = 0
        self.num_sampled = 0
        self.num_samples = 0
        self._window_start_samples = window_start_samples
        self._window_exponent = window_exponent
        self._generator = np.random.Generator(np.random.PCG64(seed))
        self._next_row = 0
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

    def add(self, columns: Mapping[str, np.ndarray], is_held_out: bool = False) -> None:
        """Insert samples `[n, *shape]` in order of age; the oldest make room. Raises ValueError for wrong columns.

        is_held_out: whether they are samples of a held-out episode.
        """
        num_new = check_columns(self.spec, columns)
        self.num_inserted += num_new
        self.num_held_out += num_new if is_held_out else 0
        self._append({**columns, HELD_OUT: np.full(num_new, is_held_out)}, num_new)

    def sample(self, batch_size: int) -> dict[str, np.ndarray]:
        """Return `[batch_size, *shape]`, sampled uniformly with replacement, in new arrays. The buffer is not empty.

        If every sample in the window is held out, sample from those.
        """
        assert self.num_samples > 0, "sample only after min_samples"
        rows = self._rows_of_kind(False, batch_size, self._generator)
        if rows is None:
            rows = self._rows(batch_size, self._generator)
        self.num_sampled += batch_size
        return self._batch(rows)

    def sample_held_out(self, batch_size: int, seed: int) -> dict[str, np.ndarray] | None:
        """Return held-out samples like those of `sample`; None if the window has none.

        They depend on the seed, not on earlier calls, and do not change what `sample` returns later.
        """
        if self.num_held_out == 0:
            return None
        rows = self._rows_of_kind(True, batch_size, np.random.Generator(np.random.PCG64(seed)))
        return None if rows is None else self._batch(rows)

    def _batch(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        return {name: self._arrays[name].take(rows, axis=0) for name in self.spec}

    def _rows(self, num_rows: int, generator: np.random.Generator) -> np.ndarray:
        ages = generator.integers(self.window, size=num_rows)
        rows: np.ndarray = (self._next_row - 1 - ages) % self.capacity
        return rows

    def _rows_of_kind(
        self, is_held_out: bool, num_rows: int, generator: np.random.Generator
    ) -> np.ndarray | None:
        """Sample rows of the window that are held out or not; None if it has none of that kind."""
        flags = self._arrays[HELD_OUT]
        found: list[np.ndarray] = []
        num_missing = num_rows
        # Listing all rows of a kind takes longer than an update if the window is large: reject the others.
        for _ in range(_MAX_ROUNDS):
            rows = self._rows(num_rows, generator)
            found.append(rows[flags[rows] == is_held_out][:num_missing])
            num_missing -= len(found[-1])
            if num_missing == 0:
                return np.concatenate(found)
        window = np.arange(self._next_row - self.window, self._next_row) % self.capacity
        candidates = window[flags[window] == is_held_out]
        return generator.choice(candidates, num_rows) if len(candidates) else None

    def state(self) -> ReplayState:
        """Return a copy of everything that later batches depend on; it takes the memory of the filled part again."""
        rows = np.arange(self._next_row - self.num_samples, self._next_row) % self.capacity
        arrays = {name: array.take(rows, axis=0) for name, array in self._arrays.items()}
        meta = {
            "num_inserted": self.num_inserted,
            "num_held_out": self.num_held_out,
            "num_sampled": self.num_sampled,
            "generator": self._generator.bit_generator.state,
        }
        return ReplayState(arrays, meta)

    def clear(self) -> None:
        """Remove all samples and reset the counters; the random generator continues."""
        self.num_inserted = self.num_held_out = self.num_sampled = 0
        self.num_samples = self._next_row = 0

    def restore(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Restore a state; sampling continues bit by bit. With a smaller capacity keep the newest samples.

        A state without HELD_OUT, from before episodes were held out, has no such samples. Raises ValueError if the
        arrays or their values violate the spec, or if meta is invalid; the buffer is then unchanged.
        """
        if HELD_OUT not in arrays:
            num_rows = len(next(iter(arrays.values()), ()))
            arrays = {**arrays, HELD_OUT: np.zeros(num_rows, np.bool_)}
        num_samples = check_columns(self._stored_spec, arrays)
        check_values(self._stored_spec, arrays)
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
            and arrays[HELD_OUT].sum() <= num_held_out <= num_inserted
        ):
            raise ValueError(
                f"the replay buffer's saved counters contradict its {num_samples} samples: "
                f"num_inserted={num_inserted}, num_sampled={num_sampled}, num_held_out={num_held_out}."
            )
        self._generator = np.random.Generator(generator)
        self.num_inserted, self.num_sampled = num_inserted, num_sampled
        self.num_held_out = num_held_out
        self.num_samples = self._next_row = 0
        self._append(arrays, num_samples)

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
