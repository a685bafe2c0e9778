"""Rule-based players of team games: opponents for trained agents. See games/core/players.py for the contract."""

from __future__ import annotations

import numpy as np

from ddpzero.games import TeamGame
from ddpzero.games.core.team_lockstep import act_by_rules


class RulePlayer:
    """Plays like the game's rule agent `name`."""

    def __init__(self, game: TeamGame, name: str):
        """name: one of game.spec.rule_agents."""
        self.name = name
        self._game = game
        self._level = game.spec.rule_agents.index(name)
        self._scratch = np.zeros(game.spec.scratch_shape, np.uint32)

    def choose(
        self, positions: np.ndarray, teams: np.ndarray, random_states: np.ndarray
    ) -> np.ndarray:
        spec = self._game.spec
        num_games = len(positions)
        actions = np.zeros((num_games, spec.num_agents), np.int64)
        levels = np.full(num_games, self._level)
        act_by_rules(
            self._game.rules, positions, teams, levels, self._scratch, actions, random_states
        )
        # A team's agents are neighbors: row t of a game's second view is team t.
        return actions.reshape(num_games, spec.num_teams, -1)[np.arange(num_games), teams]
