"""One rank's ring of samples in preallocated arrays. Called by that rank's learner alone, from one thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ddpzero.replay.sample import SampleSpec, check_columns, check_values, samples_size_bytes
from ddpzero.replay.window import window_size


class ReplayState(NamedTuple):
    """A buffer as a checkpoint keeps it.

    arrays: name -> `[num_samples, *shape]`, oldest first.
    meta: JSON-able: `num_inserted`, `num_sampled`, `generator` (state of numpy's PCG64).
    """

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]


class ReplayBuffer:
    """The newest `capacity` samples of one rank, drawn uniformly from a window of the newest among them.

    seed: of the draws. window_start_samples, window_exponent: see `window_size`; the defaults draw from everything.

    All memory is taken at construction (`size_bytes`) and touched as samples come in.
    """

    def __init__(
        self,
        spec: SampleSpec,
        capacity: int,
        seed: int,
        window_start_samples: int = 1,
        window_exponent: float = 1.0,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"replay.capacity={capacity} must be at least 1.")
        if not 0 < window_exponent <= 1:
            raise ValueError(
                f"replay.window_exponent={window_exponent} must be above 0 and at most 1."
            )
        if window_start_samples < 1:
            raise ValueError(f"window_start_samples={window_start_samples} must be at least 1.")
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
        """How many of the newest samples are drawn from now."""
        size = window_size(self.num_inserted, self._window_start_samples, self._window_exponent)
        return min(size, self.num_samples)

    def add(self, columns: Mapping[str, np.ndarray]) -> None:
        """Insert samples `[n, *shape]` in order of age; the oldest make room. ValueError if they break the spec."""
        num_new = check_columns(self.spec, columns)
        self.num_inserted += num_new
        self._append(columns, num_new)

    def sample(self, batch_size: int) -> dict[str, np.ndarray]:
        """Draw `[batch_size, *shape]` uniformly, with replacement, as fresh arrays. The buffer must not be empty."""
        assert self.num_samples > 0, "draw only after min_samples"
        ages = self._generator.integers(self.window, size=batch_size)
        rows = (self._next_row - 1 - ages) % self.capacity
        self.num_sampled += batch_size
        return {name: array.take(rows, axis=0) for name, array in self._arrays.items()}

    def state(self) -> ReplayState:
        """A copy of everything that later draws depend on (for a moment, the filled part's memory once more)."""
        rows = np.arange(self._next_row - self.num_samples, self._next_row) % self.capacity
        arrays = {name: array.take(rows, axis=0) for name, array in self._arrays.items()}
        meta = {
            "num_inserted": self.num_inserted,
            "num_sampled": self.num_sampled,
            "generator": self._generator.bit_generator.state,
        }
        return ReplayState(arrays, meta)

    def clear(self) -> None:
        """Forget all samples and counters, as if newly made; draws go on."""
        self.num_inserted = self.num_sampled = self.num_samples = self._next_row = 0

    def restore(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Continue from a state: draws go on bit by bit. A smaller capacity keeps the newest samples.

        ValueError if the arrays break the spec, in their values too, or the meta is not one; the buffer is then
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
                f"the replay buffer's saved counters are not usable: {error!r}."
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
