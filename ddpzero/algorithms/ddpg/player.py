"""A trained DDPG policy as a player of matches and for people to watch: each agent makes its most probable choice."""

from __future__ import annotations

import numpy as np

from ddpzero.algorithms.ddpg.policy import Policy
from ddpzero.evaluators.answers import EvaluationError

# Positions looked at together: what agents see of more would fill the memory.
_MAX_GAMES = 4096


class DDPGPlayer:
    """A TeamPlayer; no chance is involved."""

    def __init__(self, policy: Policy, name: str):
        self.name = name
        self._policy = policy

    def choose(
        self, positions: np.ndarray, teams: np.ndarray, random_states: np.ndarray
    ) -> np.ndarray:
        """The actions `[n, K]` of team `teams` `[n]` in positions `[n, P]`."""
        parts = [slice(row, row + _MAX_GAMES) for row in range(0, len(positions), _MAX_GAMES)]
        return np.concatenate([self._choose_some(positions[part], teams[part]) for part in parts])

    def _choose_some(self, positions: np.ndarray, teams: np.ndarray) -> np.ndarray:
        view = self._policy.observe(positions, teams)
        try:
            choices = self._policy.choose(view, None)
        except EvaluationError as error:
            raise EvaluationError(f"{self.name}: {error}") from None
        return view.actions_of(choices)
