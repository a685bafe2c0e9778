"""Holds learner and actors together: neither may run ahead of `samples_per_insert` by more than a tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class SampleBalance:
    """Says who may go on, from two counters of one rank; it keeps no state of its own.

    samples_per_insert: how often a sample is drawn on average, once learning has begun.
    min_samples: inserted before the learner's first step. They do not count as credit: the learner would otherwise
        begin with a burst of `min_samples * samples_per_insert` draws from a near-random network's games.
    batch_size: samples that one learner step draws on this rank.
    tolerance_steps: how many learner steps either side may be ahead of the exact ratio. It evens out that episodes
        come in bunches. With at least 1, one side may always go on, whatever the counters say.

    The balance is `drawn = samples_per_insert * (inserted - min_samples)`, give or take the tolerance.
    """

    samples_per_insert: float
    min_samples: int
    batch_size: int
    tolerance_steps: int = 8

    def __post_init__(self) -> None:
        if not (self.samples_per_insert > 0 and math.isfinite(self.samples_per_insert)):
            raise ValueError(
                f"replay.samples_per_insert={self.samples_per_insert} must be positive and finite."
            )
        if self.min_samples < 1:
            raise ValueError(f"replay.min_samples={self.min_samples} must be at least 1.")
        if self.batch_size < 1:
            raise ValueError(f"learner.batch_size={self.batch_size} must be at least 1.")
        assert self.tolerance_steps >= 1

    @property
    def _tolerance_samples(self) -> float:
        """In draws. At least one insert's worth beyond a batch, so that both sides are never stopped at once."""
        return self.tolerance_steps * self.batch_size + self.samples_per_insert

    def allowed_steps(self, num_inserted: int, num_sampled: int) -> int:
        """How many more learner steps may be made now."""
        if num_inserted < self.min_samples:
            return 0
        limit = (
            self.samples_per_insert * (num_inserted - self.min_samples) + self._tolerance_samples
        )
        return max(0, math.floor((limit - num_sampled) / self.batch_size))

    def allowed_inserts(self, num_inserted: int, num_sampled: int) -> int:
        """How many more samples the actors may hand in now. Episodes are whole: the last one may go beyond."""
        ahead = (num_sampled + self._tolerance_samples) / self.samples_per_insert
        return max(0, math.floor(self.min_samples + ahead) - num_inserted)
