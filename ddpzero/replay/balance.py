"""Balances learner and actors: neither may run ahead of `samples_per_insert` by more than a tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class SampleBalance:
    """Computes from two counters of one rank which side may continue; stateless.

    samples_per_insert: how often a sample is used on average, once learning has begun.
    min_samples: inserted before the learner's first step. They do not count as credit: otherwise the learner would
        begin with a burst of `min_samples * samples_per_insert` uses of a near-random network's episodes.
    batch_size: samples that one learner step uses on this rank.
    tolerance_steps: how many learner steps either side may be ahead of the exact ratio, because episodes arrive in
        bursts. With at least 1, one side may always continue, whatever the counters are.
    offset: sampled rows by which an earlier value of samples_per_insert differs from this one.

    The balance is `sampled = samples_per_insert * (inserted - min_samples) + offset`, plus or minus the tolerance.
    """

    samples_per_insert: float
    min_samples: int
    batch_size: int
    tolerance_steps: int = 8
    offset: float = 0.0

    def __post_init__(self) -> None:
        assert 0 < self.samples_per_insert < math.inf
        assert min(self.min_samples, self.batch_size, self.tolerance_steps) >= 1

    @property
    def _tolerance_samples(self) -> float:
        """The tolerance in sampled rows: at least a batch and one insert, so that one side can always continue."""
        return self.tolerance_steps * self.batch_size + self.samples_per_insert

    def _exact_samples(self, num_inserted: int) -> float:
        return self.samples_per_insert * (num_inserted - self.min_samples) + self.offset

    def with_samples_per_insert(
        self, samples_per_insert: float, num_inserted: int
    ) -> SampleBalance:
        """Return a balance with another ratio for the samples after the first num_inserted ones."""
        changed = replace(self, samples_per_insert=samples_per_insert)
        credit = self._exact_samples(num_inserted) - changed._exact_samples(num_inserted)
        return replace(changed, offset=changed.offset + credit)

    def balanced_at(
        self, samples_per_insert: float, num_inserted: int, num_sampled: int
    ) -> SampleBalance:
        """Return a balance with another ratio, for which these counters of a resumed run are exactly in balance."""
        changed = replace(self, samples_per_insert=samples_per_insert, offset=0.0)
        return replace(changed, offset=num_sampled - changed._exact_samples(num_inserted))

    def allowed_steps(self, num_inserted: int, num_sampled: int) -> int:
        """Return how many more learner steps are allowed now."""
        if num_inserted < self.min_samples:
            return 0
        limit = self._exact_samples(num_inserted) + self._tolerance_samples
        return max(0, math.floor((limit - num_sampled) / self.batch_size))

    def allowed_inserts(self, num_inserted: int, num_sampled: int) -> int:
        """Return how many more samples may be inserted now. Episodes are not split: the last one may exceed it."""
        ahead = (num_sampled - self.offset + self._tolerance_samples) / self.samples_per_insert
        return max(0, math.floor(self.min_samples + ahead) - num_inserted)
