"""A trained DDPG policy as a player for matches and for play: each agent makes its most probable choice."""

from __future__ import annotations

import numpy as np

from ddpzero.algorithms.ddpg.policy import Policy
from ddpzero.evaluators.answers import EvaluationError

# Positions that are evaluated together; the observations of more could fill the memory.
_MAX_GAMES = 4096


class DDPGPlayer:
    """A deterministic TeamPlayer."""

    def __init__(self, policy: Policy, name: str):
        self.name = name
        self._policy = policy

    def choose(
        self, positions: np.ndarray, teams: np.ndarray, random_states: np.ndarray
    ) -> np.ndarray:
        """Return the actions `[n, K]` of teams `teams` `[n]` in positions `[n, P]`."""
        parts = [slice(row, row + _MAX_GAMES) for row in range(0, len(positions), _MAX_GAMES)]
        return np.concatenate([self._choose_some(positions[part], teams[part]) for part in parts])

    def _choose_some(self, positions: np.ndarray, teams: np.ndarray) -> np.ndarray:
        view = self._policy.observe(positions, teams)
        try:
            choices = self._policy.choose(view, None)
        except EvaluationError as error:
            raise EvaluationError(f"{self.name}: {error}") from None
        return view.actions_of(choices)
