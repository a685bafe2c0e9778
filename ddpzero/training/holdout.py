"""The losses on held-out episodes, for each row of metrics: what they exceed those of training by is over-fitting."""

from __future__ import annotations

from ddpzero.algorithms.base import CompleteUpdater
from ddpzero.system.seeds import derive_seed
from ddpzero.training.batches import BatchFeeder
from ddpzero.training.metrics import IntervalMetrics

# A forward pass takes about a third of an update: evaluating takes less than 1 % of the learner's time.
_UPDATES_PER_BATCH = 100


class HoldoutEvaluation:
    """Evaluates the updater of one rank on held-out batches. seed: of this rank."""

    def __init__(self, updater: CompleteUpdater, feeder: BatchFeeder, seed: int) -> None:
        self._updater = updater
        self._feeder = feeder
        self._seed = seed
        self._evaluated_at: int | None = None

    def add_to(self, metrics: IntervalMetrics, learner_step: int) -> None:
        """Evaluate some batches: one for every 100 updates since the last call, but at least one.

        Does nothing while the buffer has no held-out samples. learner_step: updates since the start of the run; with
        the seed it determines the batches.
        """
        if self._evaluated_at is None:
            self._evaluated_at = learner_step
        num_updates, self._evaluated_at = learner_step - self._evaluated_at, learner_step
        with metrics.clock("evaluate holdout"):
            for index in range(max(1, num_updates // _UPDATES_PER_BATCH)):
                batch = self._feeder.held_out(derive_seed(self._seed, learner_step, index))
                if batch is None:
                    return
                metrics.add(self._updater.evaluate(batch))
