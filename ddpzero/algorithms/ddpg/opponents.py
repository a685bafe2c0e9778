"""Chooses the opponent of each episode of an actor, and the actions of the opponents.

An opponent is an integer: the index of a rule agent in the game's list, or `num_rules` plus the index of a past self.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddpzero.algorithms.ddpg.policy import Policy
from ddpzero.games import TeamGame
from ddpzero.games.core.promises import no_exceptions
from ddpzero.games.core.team_lockstep import NO_LEVEL, act_by_rules


class Opponents:
    """The other teams in G slots. Letters: N agents, P position_size, K agents of a team.

    chosen: `[G]`, the opponent in each slot.
    """

    def __init__(self, game: TeamGame, num_games: int, past_selves: Sequence[Policy]):
        self.num_rules = len(game.spec.rule_agents)
        self.chosen = np.zeros(num_games, np.int64)  # [G]
        self._game = game
        self._past_selves = past_selves
        self._scratch = np.empty(game.spec.scratch_shape, np.uint32)

    def choose(self, place: int, shares: np.ndarray, rng: np.random.Generator) -> None:
        """Sample the opponent of a new episode in slot `place`.

        shares: probabilities of the rule agents and, last, of all past selves together.
        """
        opponent = int(rng.choice(len(shares), p=shares))
        if opponent == self.num_rules:
            opponent += int(rng.integers(len(self._past_selves)))
        self.chosen[place] = opponent

    def act(
        self,
        positions: np.ndarray,
        teams: np.ndarray,
        actions: np.ndarray,
        random_states: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        """Write the actions of teams `teams` `[G]` to their entries of `actions` `[G, N]` for positions `[G, P]`."""
        levels = np.where(self.chosen < self.num_rules, self.chosen, NO_LEVEL)
        with no_exceptions(self._game):
            act_by_rules(
                self._game.rules, positions, teams, levels, self._scratch, actions, random_states
            )
        for index, policy in enumerate(self._past_selves):
            games = np.flatnonzero(self.chosen == self.num_rules + index)
            if len(games):
                view = policy.observe(positions[games], teams[games])
                choices = policy.choose(view, rng)
                write_team_actions(actions, games, teams[games], view.actions_of(choices))


def write_team_actions(
    actions: np.ndarray, games: np.ndarray, teams: np.ndarray, team_actions: np.ndarray
) -> None:
    """Write the actions `[n, K]` of teams `[n]` to the rows `games` `[n]` of `actions` `[G, N]`."""
    size = team_actions.shape[1]
    actions[games[:, None], teams[:, None] * size + np.arange(size)] = team_actions
