"""Ends a diverged training before its weights reach an actor or a checkpoint. All ranks together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from ddpzero.algorithms.base import CompleteUpdater
from ddpzero.run.divergence import (
    NUM_TRIALS,
    DivergenceError,
    skipping_problem,
    weights_problem,
)
from ddpzero.training.batches import Batch, BatchFeeder
from ddpzero.training.state import RunState


class DivergenceGuard:
    """Checks the updater's weights.

    learning_rate: from the settings, for the error message. last_batch: the batch of the last update.
    newest_checkpoint: the checkpoint from which the user can continue; "" for none.
    """

    def __init__(
        self, updater: CompleteUpdater, feeder: BatchFeeder, state: RunState, learning_rate: float
    ) -> None:
        self.last_batch: Batch | None = None
        self.newest_checkpoint = ""
        self._updater = updater
        self._feeder = feeder
        self._state = state
        self._learning_rate = learning_rate

    def require_sound(self, weights: Mapping[str, torch.Tensor], must_try: bool = False) -> None:
        """Raise DivergenceError on every rank if the training has diverged. Call it before weights leave the learner.

        must_try: test an update in any case, not only if the last one was skipped. Finite weights can be useless too,
        and their checkpoints would replace the good ones.
        """
        num_skipped = self._updater.skipped_in_a_row()
        self._end_if_any_rank_has(skipping_problem(num_skipped) or weights_problem(weights))
        if (must_try or num_skipped) and not self._can_train():
            self._end_if_any_rank_has(
                f"on {NUM_TRIALS} batches, the losses, gradients or outputs of the networks are not finite or are "
                "absurdly large"
            )

    def _can_train(self) -> bool:
        """Return whether an update is possible on one of a few batches; True before the first update."""
        if self.last_batch is None:
            return True
        ranks = self._state.ranks
        for batch in self._batches_to_try(self.last_batch):
            with ranks.watch("a trial of the weights"):
                is_trainable = self._updater.is_trainable(batch)
            if not ranks.any_rank(not is_trainable):
                return True
        return False

    def _batches_to_try(self, last_batch: Batch) -> Iterator[Batch]:
        # The last batch first: a sound training then samples no other batch and remains reproducible.
        yield last_batch
        for _ in range(NUM_TRIALS - 1):
            yield self._feeder.take()

    def _end_if_any_rank_has(self, problem: str) -> None:
        if not self._state.ranks.any_rank(bool(problem)):
            return
        way_back = (
            f"go on from checkpoint {self.newest_checkpoint}, which is from before: by the same command with "
            "checkpoint.allow_config_change=true"
            if self.newest_checkpoint
            else "start again: there is no checkpoint yet"
        )
        raise DivergenceError(
            f"the training has diverged at learner_step={self._state.counters.learner_step}: "
            f"{problem or 'another rank found so'}. Nothing of it was saved. Lower learner.learning_rate="
            f"{self._learning_rate:g} and {way_back}."
        )
