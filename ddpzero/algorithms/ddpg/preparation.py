"""Compiles what an actor calls, in a process that ends afterwards (actors/preparation.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ddpzero.algorithms.ddpg.settings import DDPGSettings
from ddpzero.games import TeamGame, load_any_game
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.games.core.team_lockstep import (
    act_by_rules,
    count_deaths,
    observe_features_of,
    observe_planes_of,
    points_of,
    reset_games,
    step_games,
)


def compile_games(*, game: Mapping[str, Any], settings: DDPGSettings, **_: Any) -> None:
    """Compile the loops over games, unless numba's cache has them. Takes the arguments of `actor.make_actor`."""
    loaded = load_any_game(**game)
    assert isinstance(loaded, TeamGame)
    rules, spec = loaded.rules, loaded.spec
    positions, random_states = loaded.new_positions(1), new_random_states(0, 1)
    team = np.zeros(1, np.int64)
    actions = np.zeros((1, spec.num_agents), np.int64)
    rewards, statuses = np.zeros((1, spec.num_agents), np.float32), np.zeros(1, np.int64)
    legal = np.zeros((1, spec.agents_per_team, spec.num_actions), np.bool_)
    choices = np.zeros(legal.shape, np.int64)
    scratch = np.zeros(spec.scratch_shape, np.uint32)
    reset_games(rules, positions, random_states, np.ones(1, np.bool_))
    if settings.observation == "features":
        features = np.zeros((*legal.shape[:2], spec.num_features), np.float32)
        observe_features_of(rules, positions, team, scratch, features, legal, choices)
    else:
        planes = np.zeros((*legal.shape[:2], spec.num_planes, *spec.board_shape), np.uint8)
        observe_planes_of(rules, positions, team, planes, legal, choices)
    act_by_rules(rules, positions, team, team, scratch, actions, random_states)
    step_games(rules, positions, actions, rewards, statuses, random_states)
    count_deaths(rules, positions, np.zeros((1, spec.num_agents), np.int64))
    points_of(rules, positions, np.zeros((1, spec.num_teams), np.int64))
