"""Running games of a team game in lockstep: players act for teams, then every game takes a step.

Called by matches and by play. Letters: G games, N agents, K agents of a team, T teams.
"""

from __future__ import annotations

import numpy as np

from ddpzero.games import TeamGame
from ddpzero.games.core.player_errors import checked_actions, errors_of_player
from ddpzero.games.core.players import TeamPlayer
from ddpzero.games.core.promises import require_end
from ddpzero.games.core.team_contract import GOING_ON
from ddpzero.games.core.team_lockstep import points_of, reset_games, step_games


class TeamTable:
    """positions: `[G, P]`. is_going_on: `[G]` bool. num_steps: `[G]` int32. actions: `[G, N]` of the step to come."""

    def __init__(self, game: TeamGame, random_states: np.ndarray):
        """random_states: `[G, 2]` uint64, of the games themselves: their starts and what chance does in a step."""
        num_games = len(random_states)
        self._game = game
        self._random_states = random_states.copy()
        self._rewards = np.zeros((num_games, game.spec.num_agents), np.float32)
        self._statuses = np.zeros(num_games, np.int64)
        self.positions = game.new_positions(num_games)
        self.is_going_on = np.ones(num_games, np.bool_)
        self.num_steps = np.zeros(num_games, np.int32)
        self.actions = np.zeros((num_games, game.spec.num_agents), np.int64)
        reset_games(game.rules, self.positions, self._random_states, self.is_going_on)

    def ask(self, player: TeamPlayer, teams: np.ndarray, random_states: np.ndarray) -> None:
        """Let a player act for team `teams` `[G]` in every running game.

        random_states: `[G, 2]` uint64, changed in place by what the player draws. PlayerError for actions that do not
        exist.
        """
        spec = self._game.spec
        rows = np.flatnonzero(self.is_going_on)
        drawn_from = random_states[rows]
        with errors_of_player(player.name):
            chosen = player.choose(self.positions[rows], teams[rows], drawn_from)
        random_states[rows] = drawn_from
        shape = (len(rows), spec.agents_per_team)
        chosen = checked_actions(player.name, chosen, shape, spec.num_actions)
        by_team = self.actions.reshape(len(self.actions), spec.num_teams, -1)
        by_team[rows, teams[rows]] = chosen

    def step(self) -> None:
        """Play `actions` in every running game."""
        self.num_steps += self.is_going_on
        step_games(
            self._game.rules,
            self.positions,
            self.actions,
            self._rewards,
            self._statuses,
            self._random_states,
        )
        self.is_going_on = self._statuses == GOING_ON
        require_end(self._game, self._statuses, self.num_steps)

    def points(self) -> np.ndarray:
        """Return the scores of all teams so far: `[G, T]` int64."""
        points = np.zeros((len(self.positions), self._game.spec.num_teams), np.int64)
        points_of(self._game.rules, self.positions, points)
        return points
