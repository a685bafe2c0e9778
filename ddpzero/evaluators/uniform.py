"""An evaluator without knowledge: equal priors, value zero. For benchmarks and tests of the search alone."""

from __future__ import annotations

import numpy as np

from ddpzero.evaluators.answers import OUTCOME_SIZE, POINTS
from ddpzero.games import Game


class UniformEvaluator:
    """See Evaluator. Win, draw and loss are equally likely; it does not read the observations."""

    def __init__(self, game: Game, max_batch: int, num_slots: int = 1):
        self.max_batch = max_batch
        self.num_slots = num_slots
        self._observations = np.zeros((num_slots, max_batch, game.observation_size_bytes), np.uint8)
        self._logits = np.zeros((max_batch, game.num_actions), np.float32)
        self._outcomes = np.full((max_batch, OUTCOME_SIZE), 1.0 / 3.0, np.float32)
        self._outcomes[:, POINTS] = 0.0
        self._num_positions = [0] * num_slots

    def observations(self, slot: int) -> np.ndarray:
        return self._observations[slot]

    def submit(self, slot: int, num_positions: int) -> None:
        self._num_positions[slot] = num_positions

    def collect(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        num_positions = self._num_positions[slot]
        return self._logits[:num_positions], self._outcomes[:num_positions]
