"""One rank's ring buffer of samples in preallocated arrays. Used only by that rank's learner, from one thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ddpzero.replay.sample import SampleSpec, check_columns, check_values, samples_size_bytes
from ddpzero.replay.window import window_size


class ReplayState(NamedTuple):
    """The state of a buffer, as a checkpoint stores it.

    arrays: name -> `[num_samples, *shape]`, oldest first.
    meta: JSON-able: `num_inserted`, `num_sampled`, `generator` (state of numpy's PCG64).
    """

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]


class ReplayBuffer:
    """The newest `capacity` samples of one rank; batches are sampled uniformly from a window of the newest of them.

    seed: of the sampling. window_start_samples, window_exponent: see `window_size`; the default window is the buffer.

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
        self.spec = spec
        self.capacity = capacity
        self.num_inserted = 0
        self.num_sampled = 0
        self.num_samples = 0
        self._window_start_samples = window_start_samples
        self._window_exponent = window_exponent
        self._generator = np.random.Generator(np.random.PCG64(seed))
        self._next_row = 0
        self._arrays = {
            name: np.empty((capacity, *field.shape), field.dtype) for name, field in spec.items()
        }

    @property
    def size_bytes(self) -> int:
        return samples_size_bytes(self.spec, self.capacity)

    @property
    def window(self) -> int:
        """The number of newest samples that batches are sampled from now."""
        size = window_size(self.num_inserted, self._window_start_samples, self._window_exponent)
        return min(size, self.num_samples)

    def add(self, columns: Mapping[str, np.ndarray]) -> None:
        """Insert samples `[n, *shape]` in order of age; the oldest make room. Raises ValueError for wrong columns."""
        num_new = check_columns(self.spec, columns)
        self.num_inserted += num_new
        self._append(columns, num_new)

    def sample(self, batch_size: int) -> dict[str, np.ndarray]:
        """Return `[batch_size, *shape]`, sampled uniformly with replacement, in new arrays. The buffer is not empty."""
        assert self.num_samples > 0, "sample only after min_samples"
        ages = self._generator.integers(self.window, size=batch_size)
        rows = (self._next_row - 1 - ages) % self.capacity
        self.num_sampled += batch_size
        return {name: array.take(rows, axis=0) for name, array in self._arrays.items()}

    def state(self) -> ReplayState:
        """Return a copy of everything that later batches depend on; it takes the memory of the filled part again."""
        rows = np.arange(self._next_row - self.num_samples, self._next_row) % self.capacity
        arrays = {name: array.take(rows, axis=0) for name, array in self._arrays.items()}
        meta = {
            "num_inserted": self.num_inserted,
            "num_sampled": self.num_sampled,
            "generator": self._generator.bit_generator.state,
        }
        return ReplayState(arrays, meta)

    def clear(self) -> None:
        """Remove all samples and reset the counters; the random generator continues."""
        self.num_inserted = self.num_sampled = self.num_samples = self._next_row = 0

    def restore(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Restore a state; sampling continues bit by bit. With a smaller capacity keep the newest samples.

        Raises ValueError if the arrays or their values violate the spec, or if meta is invalid; the buffer is then
        unchanged.
        """
        num_samples = check_columns(self.spec, arrays)
        check_values(self.spec, arrays)
        generator = np.random.PCG64()
        try:
            num_inserted, num_sampled = meta["num_inserted"], meta["num_sampled"]
            generator.state = meta["generator"]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"the replay buffer's saved counters are invalid: {error!r}."
            ) from None
        are_counts = type(num_inserted) is int and type(num_sampled) is int
        if not (
            are_counts and 0 <= num_samples <= num_inserted < 2**63 and 0 <= num_sampled < 2**63
        ):
            raise ValueError(
                f"the replay buffer's saved counters contradict its {num_samples} samples: "
                f"num_inserted={num_inserted}, num_sampled={num_sampled}."
            )
        self._generator = np.random.Generator(generator)
        self.num_inserted, self.num_sampled = num_inserted, num_sampled
        self.num_samples = self._next_row = 0
        self._append(arrays, num_samples)

    def _append(self, columns: Mapping[str, np.ndarray], num_new: int) -> None:
        num_kept = min(num_new, self.capacity)
        num_before_wrap = min(num_kept, self.capacity - self._next_row)
        for name, array in self._arrays.items():
            kept = columns[name][num_new - num_kept :]
            array[self._next_row : self._next_row + num_before_wrap] = kept[:num_before_wrap]
            array[: num_kept - num_before_wrap] = kept[num_before_wrap:]
        self._next_row = (self._next_row + num_kept) % self.capacity
        self.num_samples = min(self.num_samples + num_kept, self.capacity)
