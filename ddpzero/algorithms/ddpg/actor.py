"""The DDPG actor: plays many episodes in lockstep, one team of each with the policy, and returns finished episodes.

Runs in an actor process (ddpzero/actors) and never communicates with other processes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ddpzero.actors.spec import UnusableWeightsError
from ddpzero.algorithms.ddpg.guidance import EPSILON
from ddpzero.algorithms.ddpg.opponents import Opponents, write_team_actions
from ddpzero.algorithms.ddpg.policy import Policy, View
from ddpzero.algorithms.ddpg.samples import episodes_layout, mixed_rewards, transitions
from ddpzero.algorithms.ddpg.settings import (
    ActorCriticSettings,
    DDPGSettings,
    OpponentSettings,
)
from ddpzero.evaluators.answers import EvaluationError
from ddpzero.games import TeamGame, load_any_game
from ddpzero.games.core.promises import (
    no_exceptions,
    require_actions,
    require_end,
    require_rewards,
)
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.games.core.team_contract import GOING_ON, TERMINATED
from ddpzero.games.core.team_lockstep import count_deaths, points_of, reset_games, step_games
from ddpzero.replay import Episode
from ddpzero.system.memory import empty_arrays

# Duration of one call of `play`; between calls the process reads messages from its rank.
_SLICE_SECONDS = 0.1
_NO_LIMIT = -1


class DDPGActor:
    """Plays episodes; see actors/spec.py for the contract of its methods. Letter: K agents of a team."""

    def __init__(
        self,
        game: TeamGame,
        settings: DDPGSettings,
        network: ActorCriticSettings,
        opponent: OpponentSettings,
        num_games: int,
        device: str,
        seed: int,
    ):
        self._game = game
        self._settings = settings
        self._policy = Policy(game, settings, network, device)
        self._past_selves = [
            Policy(game, settings, network, device) for _ in range(opponent.num_past_selves)
        ]
        self._opponents = Opponents(game, num_games, self._past_selves)
        # Exponents of epsilon: the slots explore with rates from epsilon down to epsilon ** (1 + spread).
        self._exponents = 1.0 + settings.epsilon_spread * np.linspace(0.0, 1.0, num_games)
        self._guidance = np.zeros(1)
        self._weights_version = 0
        self._num_games_to_start = 0
        self._counts: dict[str, float] = {}
        self._next_evaluation = 0
        self._seed = seed
        self._has_started = False
        self._allocate_games(num_games)

    def _allocate_games(self, num_games: int) -> None:
        game, spec = self._game, self._game.spec
        self._positions = game.new_positions(num_games)
        # Rule agents use a separate stream of random numbers, so that an episode can be replayed without them.
        self._random_states = np.zeros((num_games, 2), np.uint64)
        self._opponent_states = np.zeros((num_games, 2), np.uint64)
        self._actions = np.zeros((num_games, spec.num_agents), np.int64)
        self._rewards = np.zeros((num_games, spec.num_agents), np.float32)
        self._statuses = np.full(num_games, GOING_ON, np.int64)
        # State of the running episodes.
        self._deaths = np.zeros((num_games, spec.num_agents), np.int64)
        self._is_running = np.zeros(num_games, np.bool_)
        self._is_evaluation = np.zeros(num_games, np.bool_)
        # The team that the policy plays.
        self._teams = np.zeros(num_games, np.int64)
        self._steps = np.zeros(num_games, np.int64)
        steps = empty_arrays(episodes_layout(game, self._settings, num_games))
        self._observations, self._legal = steps["observations"], steps["legal"]
        self._choices, self._weights_versions = steps["choices"], steps["weights_versions"]
        self._all_rewards, self._all_actions = steps["all_rewards"], steps["all_actions"]
        self._start_states = np.zeros((num_games, 2), np.uint64)

    def receive(self, arrays: Mapping[str, np.ndarray], weights_version: int) -> None:
        """Play with new weights, new past selves and new guidance from now on."""
        self._policy.load(_part(arrays, "actor."))
        for index, policy in enumerate(self._past_selves):
            policy.load(_part(arrays, f"past{index}."))
        self._guidance = np.array(arrays["guidance"])
        self._weights_version = weights_version

    def play(self) -> list[Episode]:
        """Advance all episodes for about 0.1 seconds; return those that ended."""
        if not self._has_started:
            self._restart(self._seed, _NO_LIMIT)
        episodes: list[Episode] = []
        started = time.perf_counter()
        try:
            while time.perf_counter() - started < _SLICE_SECONDS and not self.round_done:
                episodes += self._step()
        except EvaluationError as error:
            raise UnusableWeightsError(
                f"weights_version {self._weights_version}: {error}"
            ) from None
        self._count("seconds", time.perf_counter() - started)
        return episodes

    def start_round(self, num_episodes: int, round_seed: int) -> None:
        """Drop all episodes and play exactly num_episodes new ones, determined by the seed and the weights alone."""
        self._restart(round_seed, num_episodes)

    @property
    def round_done(self) -> bool:
        return self._num_games_to_start == 0 and not self._is_running.any()

    def take_metrics(self) -> dict[str, float]:
        """Return counts and seconds since the last call."""
        metrics, self._counts = self._counts, {}
        return metrics

    # ------------------------------------------------------------------------- the games

    def _step(self) -> list[Episode]:
        """Make one step in every running episode; return the episodes that ended with it."""
        games = np.flatnonzero(self._is_running)
        teams, steps = self._teams[games], self._steps[games]
        view = self._observe(games)
        choices = self._choose(games, view)
        self._opponents.act(
            self._positions, 1 - self._teams, self._actions, self._opponent_states, self._rng
        )
        write_team_actions(self._actions, games, teams, view.actions_of(choices))
        require_actions(self._game, self._actions)
        with no_exceptions(self._game):
            step_games(
                self._game.rules,
                self._positions,
                self._actions,
                self._rewards,
                self._statuses,
                self._random_states,
            )
            count_deaths(self._game.rules, self._positions, self._deaths)
        require_rewards(self._game, self._rewards)
        self._observations[games, steps] = view.observation
        self._legal[games, steps] = view.legal
        self._choices[games, steps] = choices
        self._all_rewards[games, steps] = self._rewards[games]
        self._all_actions[games, steps] = self._actions[games]
        self._weights_versions[games, steps] = self._weights_version
        self._steps[games] += 1
        require_end(self._game, self._statuses[games], self._steps[games])
        self._count("environment_steps", len(games))
        ended = games[self._statuses[games] != GOING_ON]
        if not len(ended):
            return []
        last = self._observe(ended)
        self._observations[ended, self._steps[ended]] = last.observation
        self._legal[ended, self._steps[ended]] = last.legal
        episodes = [self._episode(int(game)) for game in ended]
        self._is_running[ended] = False
        self._fill_places()
        return episodes

    def _observe(self, games: np.ndarray) -> View:
        return self._policy.observe(self._positions[games], self._teams[games])

    def _choose(self, games: np.ndarray, view: View) -> np.ndarray:
        """Return choices `[n, K]`: sampled from the policy, or uniformly with the slot's epsilon.

        In evaluation episodes, return the policy's most probable choices.
        """
        drawn = self._policy.choose(view, self._rng)
        is_evaluation = self._is_evaluation[games]
        if is_evaluation.any():
            rows = np.flatnonzero(is_evaluation)
            evaluated = View(view.observation[rows], view.legal[rows], view.actions[rows])
            drawn[rows] = self._policy.choose(evaluated, None)
        epsilons = self._guidance[EPSILON] ** self._exponents[games] * ~is_evaluation
        at_random = self._rng.random(drawn.shape) < epsilons[:, None]
        if at_random.any():
            noise = self._rng.random(view.legal.shape) * view.legal
            drawn[at_random] = noise.argmax(axis=2)[at_random]
        return drawn

    def _episode(self, game: int) -> Episode:
        """Return the episode that has just ended in slot `game`: its samples and its info."""
        spec, team = self._game.spec, int(self._teams[game])
        num_steps, size = int(self._steps[game]), spec.agents_per_team
        own = slice(team * size, (team + 1) * size)
        other = slice((1 - team) * size, (2 - team) * size)
        rewards = self._all_rewards[game, :num_steps]
        columns = transitions(
            self._observations[game, : num_steps + 1],
            self._legal[game, : num_steps + 1],
            self._choices[game, :num_steps],
            mixed_rewards(rewards[:, own], rewards[:, other], self._settings),
            self._weights_versions[game, :num_steps],
            bool(self._statuses[game] == TERMINATED),
            self._settings,
        )
        points = np.zeros((1, spec.num_teams), np.int64)
        points_of(self._game.rules, self._positions[game : game + 1], points)
        own_points, other_points = int(points[0, team]), int(points[0, 1 - team])
        info: dict[str, Any] = {
            "num_steps": num_steps,
            "opponent": int(self._opponents.chosen[game]),
            "is_evaluation": int(self._is_evaluation[game]),
            "team": team,
            "points": own_points,
            "opponent_points": other_points,
            "has_won": int(own_points > other_points),
            "is_draw": int(own_points == other_points),
            "rewards": rewards[:, own].sum(axis=0).tolist(),
            "deaths": self._deaths[game, own].tolist(),
        }
        if self._is_evaluation[game]:
            info["random_state"] = [int(word) for word in self._start_states[game]]
            info["actions"] = self._all_actions[game, :num_steps].reshape(-1).tolist()
        return Episode({name: np.ascontiguousarray(c) for name, c in columns.items()}, info)

    # ----------------------------------------------------------------------------- starts

    def _restart(self, seed: int, num_episodes: int) -> None:
        self._has_started = True
        self._rng = np.random.Generator(np.random.PCG64(seed))
        states = new_random_states(seed, 2 * len(self._random_states))
        self._random_states[:], self._opponent_states[:] = np.split(states, 2)
        # Every slot holds a valid position, since idle slots are stepped too.
        reset_games(
            self._game.rules, self._positions, self._random_states, ~np.zeros_like(self._is_running)
        )
        self._is_running[:] = False
        # A past self from an earlier round must not sample actions in slots that stay idle.
        self._opponents.chosen[:] = 0
        # Start with a random rule agent: a round may have fewer evaluation episodes than there are rule agents.
        self._next_evaluation = int(self._rng.integers(self._opponents.num_rules))
        self._num_games_to_start = num_episodes
        self._fill_places()

    def _fill_places(self) -> None:
        """Start episodes in free slots while there are episodes to start."""
        chosen = np.zeros(len(self._is_running), np.bool_)
        for place in np.flatnonzero(~self._is_running):
            if self._num_games_to_start == 0:
                break
            if self._num_games_to_start > 0:
                self._num_games_to_start -= 1
            self._is_running[place] = chosen[place] = True
            self._teams[place] = self._rng.integers(2)
            self._is_evaluation[place] = self._rng.random() < self._settings.evaluation_share
            if self._is_evaluation[place]:
                self._opponents.chosen[place] = self._next_evaluation
                self._next_evaluation = (self._next_evaluation + 1) % self._opponents.num_rules
            else:
                self._opponents.choose(int(place), self._guidance[1:], self._rng)
        self._steps[chosen] = 0
        self._deaths[chosen] = 0
        self._start_states[chosen] = self._random_states[chosen]
        reset_games(self._game.rules, self._positions, self._random_states, chosen)

    def _count(self, name: str, amount: float) -> None:
        self._counts[name] = self._counts.get(name, 0.0) + amount


def _part(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def make_actor(
    *,
    game: Mapping[str, Any],
    settings: DDPGSettings,
    network: ActorCriticSettings,
    opponent: OpponentSettings,
    num_games: int,
    device: str,
    rank: int,
    actor_index: int,
    seed: int,
) -> DDPGActor:
    """Make an actor in its process. game: arguments of `load_any_game`. rank and actor_index are part of `seed`."""
    loaded = load_any_game(**game)
    assert isinstance(loaded, TeamGame)
    return DDPGActor(loaded, settings, network, opponent, num_games, device, seed)
