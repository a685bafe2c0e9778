"""Balances learner and actors: neither may run ahead of `samples_per_insert` by more than a tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class SampleBalance:
    """Computes from two counters of one rank which side may continue; stateless.

    samples_per_insert: how often a sample is used on average, once learning has begun.
    min_samples: inserted before the learner's first step. They do not count as credit: otherwise the learner would
        begin with a burst of `min_samples * samples_per_insert` uses of a near-random network's episodes.
    batch_size: samples that one learner step uses on this rank.
    tolerance_steps: how many learner steps either side may be ahead of the exact ratio, because episodes arrive in
        bursts. With at least 1, one side may always continue, whatever the counters are.

    The balance is `sampled = samples_per_insert * (inserted - min_samples)`, plus or minus the tolerance.
    """

    samples_per_insert: float
    min_samples: int
    batch_size: int
    tolerance_steps: int = 8

    def __post_init__(self) -> None:
        assert 0 < self.samples_per_insert < math.inf
        assert min(self.min_samples, self.batch_size, self.tolerance_steps) >= 1

    @property
    def _tolerance_samples(self) -> float:
        """The tolerance in sampled rows: at least a batch and one insert, so that one side can always continue."""
        return self.tolerance_steps * self.batch_size + self.samples_per_insert

    def allowed_steps(self, num_inserted: int, num_sampled: int) -> int:
        """Return how many more learner steps are allowed now."""
        if num_inserted < self.min_samples:
            return 0
        limit = (
            self.samples_per_insert * (num_inserted - self.min_samples) + self._tolerance_samples
        )
        return max(0, math.floor((limit - num_sampled) / self.batch_size))

    def allowed_inserts(self, num_inserted: int, num_sampled: int) -> int:
        """Return how many more samples may be inserted now. Episodes are not split: the last one may exceed it."""
        ahead = (num_sampled + self._tolerance_samples) / self.samples_per_insert
        return max(0, math.floor(self.min_samples + ahead) - num_inserted)
