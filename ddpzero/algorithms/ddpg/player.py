"""A trained DDPG policy as a player of matches and for people to watch: each agent makes its most probable choice."""

from __future__ import annotations

import numpy as np

from ddpzero.algorithms.ddpg.policy import Policy


class DDPGPlayer:
    """See TeamPlayer in algorithms/base.py. No chance is involved."""

    def __init__(self, policy: Policy, name: str):
        self.name = name
        self._policy = policy

    def choose(
        self, positions: np.ndarray, teams: np.ndarray, random_states: np.ndarray
    ) -> np.ndarray:
        """The actions `[n, K]` of team `teams` `[n]` in positions `[n, P]`."""
        view = self._policy.observe(positions, teams)
        return view.actions_of(self._policy.choose(view, None))
