"""The weights that actors play with: the newest ones, or those of the run's best model (release.self_play)."""

from __future__ import annotations

from pathlib import Path

import torch

from ddpzero.algorithms.base import CompleteUpdater
from ddpzero.run.checkpoint_content import load_weights
from ddpzero.run.models import MODELS_FOLDER


class PlayedWeights:
    """The weights to publish. plays_best: whether they are those of the best model, once there is one."""

    def __init__(self, updater: CompleteUpdater, run_dir: Path, plays_best: bool) -> None:
        self._updater = updater
        self._folder = run_dir / MODELS_FOLDER
        self._plays_best = plays_best
        self._best = ""
        self._weights_of_best: dict[str, torch.Tensor] = {}

    def set_best(self, model: str | None) -> None:
        """Set the best model. Raises UserError if its weights cannot be read."""
        if self._plays_best and model and model != self._best:
            self._weights_of_best = load_weights(self._folder / model).weights
            self._best = model

    def weights(self, fraction_done: float, effort: float = 1.0) -> dict[str, torch.Tensor]:
        """Return the weights for the actors; what is not in a model (an exploration rate) is always the newest.

        fraction_done, effort: see CompleteUpdater.set_self_play.
        """
        self._updater.set_self_play(fraction_done, effort)
        newest, best = self._updater.actor_weights(), self._weights_of_best
        if not best:
            return newest
        # A best model from before a growth has fewer weights than the newest one.
        released = self._updater.released_weights()
        return {
            name: best.get(name, value)
            for name, value in newest.items()
            if name in best or name not in released
        }
