"""Benchmarks the rules: random play on one core, all in compiled code. Called by `ddpzero bench rules`.

A step of a board game is a whole ply: compute the legal mask, sample a legal action uniformly, apply it, test for the
end of the episode, and start a new one after the end. A step of a team game samples an action uniformly for each agent
and makes one step of the game; a second measurement also computes the observation of one team.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from ddpzero.games import Game, TeamGame
from ddpzero.games.core import contract, team_contract
from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.promises import NO_FAULT, NO_LEGAL_ACTION, require_no_fault
from ddpzero.games.core.random_bits import choose_uniformly, new_random_states, next_below
from ddpzero.games.core.team_lockstep import reset_games
from ddpzero.system.measurements import Measurement, game_settings

# Short, so that other processes disturb only a few samples and not the median.
_SAMPLE_SECONDS = 0.05


def bench_rules(
    game: Game | TeamGame, seconds: float = 5.0, num_games: int = 64, seed: int = 0
) -> list[Measurement]:
    """Advance `num_games` random episodes in turn for `seconds`; each restarts at its end.

    Returns the median steps per second and per second of CPU time; other programs on the core do not influence the
    latter. For a team game, measures both again for another `seconds`, with the features of one team at each step.
    """
    if isinstance(game, TeamGame):
        players = {
            "steps": _team_player(game, num_games, seed, with_observations=False),
            "steps_with_observations": _team_player(game, num_games, seed, with_observations=True),
        }
    else:
        players = {"steps": _player(game, num_games, seed)}
    settings = game_settings(game.parameters) | {
        "num_games": num_games,
        "seconds": seconds,
        "seed": seed,
    }
    return [
        Measurement("rules", game.name, f"{steps}_per_{kind}", num_games * rate, "1/s", settings)
        for steps, play in players.items()
        for kind, rate in zip(("second", "cpu_second"), _rates(play, seconds), strict=True)
    ]


def _player(game: Game, num_games: int, seed: int) -> Callable[[int], int]:
    """Return a function that plays a given number of rounds, one step of each episode per round."""
    positions = game.new_positions(num_games)
    legal = np.zeros(game.num_actions, dtype=np.bool_)
    random_state = new_random_states(seed, 1)[0]

    def play(num_rounds: int) -> int:
        num_ended = play_randomly(game.rules, positions, legal, random_state, num_rounds)
        require_no_fault(game, NO_LEGAL_ACTION if num_ended < 0 else NO_FAULT)
        return num_ended

    return play


def _team_player(
    game: TeamGame, num_games: int, seed: int, with_observations: bool
) -> Callable[[int], int]:
    """Return a function that plays a given number of rounds, one step of each episode per round."""
    spec = game.spec
    positions = game.new_positions(num_games)
    random_states = new_random_states(seed, num_games)
    reset_games(game.rules, positions, random_states, np.ones(num_games, dtype=np.bool_))
    choices = (spec.agents_per_team, spec.num_actions)
    actions = np.zeros(spec.num_agents, dtype=np.int64)
    rewards = np.zeros(spec.num_agents, dtype=np.float32)
    scratch = np.zeros(spec.scratch_shape, dtype=np.uint32)
    features = np.zeros((spec.agents_per_team, spec.num_features), dtype=np.float32)
    legal, choice_actions = np.zeros(choices, dtype=np.bool_), np.zeros(choices, dtype=np.int64)
    return lambda num_rounds: play_team_game_randomly(
        game.rules,
        positions,
        spec.num_actions,
        actions,
        rewards,
        spec.num_teams if with_observations else 0,
        scratch,
        features,
        legal,
        choice_actions,
        random_states,
        num_rounds,
    )


def _rates(play: Callable[[int], int], seconds: float) -> tuple[float, float]:
    """Return the median rounds per second and per CPU second over samples of `seconds` in all."""

    def measure(num_rounds: int) -> tuple[float, float]:
        """Return the wall and CPU seconds of num_rounds rounds."""
        wall, cpu = time.perf_counter(), time.thread_time()
        play(num_rounds)
        return time.perf_counter() - wall, time.thread_time() - cpu

    # Warm up: compiles.
    measure(1)
    num_rounds = 1
    while (wall_seconds := measure(num_rounds)[0]) < _SAMPLE_SECONDS / 4:
        num_rounds *= 2
    num_rounds = max(1, round(num_rounds * _SAMPLE_SECONDS / wall_seconds))
    samples = [measure(num_rounds) for _ in range(max(1, round(seconds / _SAMPLE_SECONDS)))]
    return (
        num_rounds / median(wall for wall, _ in samples),
        num_rounds / median(cpu for _, cpu in samples),
    )


@compiled(cache=True)
def play_randomly(rules, positions, legal, random_state, num_rounds):
    """Play num_rounds steps in each of `positions` `[n, P]`, in place; return the number of episodes that ended.

    Returns -1 if a position that is not terminal has no legal action. legal: `[A]` bool, a work array.
    """
    num_ended = 0
    for _ in range(num_rounds):
        for index in range(positions.shape[0]):
            position = positions[index]
            contract.legal_actions(rules, position, legal)
            action = choose_uniformly(legal, random_state)
            if action < 0:
                return -1
            contract.apply_action(rules, position, action)
            if contract.is_terminal(rules, position):
                contract.initial_position(rules, position)
                num_ended += 1
    return num_ended


@compiled(cache=True)
def play_team_game_randomly(
    rules,
    positions,
    num_actions,
    actions,
    rewards,
    num_observed_teams,
    scratch,
    features,
    legal,
    choice_actions,
    random_states,
    num_rounds,
):
    """Play num_rounds steps in each of `positions` `[n, P]`, in place; return the number of episodes that ended.

    num_observed_teams: before each step, write the features of one of the first num_observed_teams teams, in turn.
    random_states: `[n, 2]`. The other arrays are work arrays for one episode and one team; see team_contract.py.
    """
    num_ended = 0
    for round_index in range(num_rounds):
        for index in range(positions.shape[0]):
            position, random_state = positions[index], random_states[index]
            if num_observed_teams > 0:
                team_contract.observe_features(
                    rules,
                    position,
                    round_index % num_observed_teams,
                    scratch,
                    features,
                    legal,
                    choice_actions,
                )
            for agent in range(actions.shape[0]):
                actions[agent] = next_below(random_state, num_actions)
            team_contract.step(rules, position, actions, rewards, random_state)
            if team_contract.status(rules, position) != team_contract.GOING_ON:
                team_contract.reset(rules, position, random_state)
                num_ended += 1
    return num_ended
