"""Facts about Gumbel search beyond its agreement with the reference."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ddpzero.games import Game
from ddpzero.search import SearchSettings
from ddpzero.search.forest import ROOT
from ddpzero.search.gumbel import halving_visits
from tests.search.games.random_tree import new_position
from tests.search.harness import Lockstep


def halving_schedule(num_considered: int, num_simulations: int) -> list[int]:
    """The visits that each simulation looks for, in order."""
    return [
        halving_visits.py_func(num_considered, num_simulations, simulation)
        for simulation in range(num_simulations)
    ]


def test_sequential_halving_considers_8_then_4_then_2_actions():
    expected = [
        *(0, 0, 0, 0, 0, 0, 0, 0),  # 8 considered
        *(1, 1, 1, 1),  # the better 4
        *(2, 2, 3, 3),  # the better 2 of these, to the end
    ]
    np.testing.assert_array_equal(halving_schedule(8, 16), expected)


def test_sequential_halving_gives_each_phase_its_share_of_the_budget():
    expected = [
        *(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2),  # 4 considered, half of the budget
        *(3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8),  # the better 2
    ]
    np.testing.assert_array_equal(halving_schedule(4, 24), expected)


def test_sequential_halving_rounds_odd_numbers_down():
    expected = [0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4]  # 5 considered, then 2
    np.testing.assert_array_equal(halving_schedule(5, 12), expected)


def test_sequential_halving_of_a_small_budget_tries_the_first_actions_once():
    np.testing.assert_array_equal(halving_schedule(16, 3), [0, 0, 0])


@pytest.mark.parametrize("num_considered", [0, 1])
def test_a_single_action_gets_every_simulation(num_considered: int):
    np.testing.assert_array_equal(halving_schedule(num_considered, 5), [0, 1, 2, 3, 4])


def test_the_first_action_searched_is_drawn_from_the_priors(random_tree: Game):
    num_games = 20_000
    positions = np.tile(new_position(key=5, legal_percent=50), (num_games, 1))
    lockstep = Lockstep(random_tree, SearchSettings(num_simulations=1), positions)
    lockstep.search()
    priors = lockstep.priors[0]
    shares = lockstep.visits.mean(axis=0)
    np.testing.assert_allclose(shares, priors, atol=4 * math.sqrt(0.25 / num_games))


def test_considered_actions_are_drawn_without_replacement(random_tree: Game):
    positions = np.tile(new_position(key=5, legal_percent=100), (500, 1))
    settings = SearchSettings(num_simulations=4, max_considered_actions=4)
    lockstep = Lockstep(random_tree, settings, positions)
    lockstep.search()
    assert ((lockstep.visits > 0).sum(axis=1) == 3).sum() == 0
    np.testing.assert_array_equal(lockstep.visits.max(axis=1), 1)


def test_without_noise_the_best_priors_are_considered(random_tree: Game):
    positions = np.array([new_position(key, legal_percent=100) for key in range(50)])
    settings = SearchSettings(
        num_simulations=3, max_considered_actions=3, gumbel_scale=0.0, solve=False
    )
    lockstep = Lockstep(random_tree, settings, positions)
    lockstep.search()
    best = np.argsort(-lockstep.priors, axis=1)[:, :3]
    np.testing.assert_array_equal(np.take_along_axis(lockstep.visits, best, axis=1), 1)


def test_the_policy_target_follows_the_definition(random_tree: Game):
    """softmax(log prior + (max_visit_offset + max visits) * value_scale * completed q), written out for one root."""
    settings = SearchSettings(
        num_simulations=12, max_considered_actions=3, value_scale=0.2, solve=False
    )
    lockstep = Lockstep(random_tree, settings, new_position(key=11, legal_percent=100)[None])
    lockstep.search()
    priors = lockstep.priors[0].astype(np.float64)
    visits = lockstep.visits[0]
    visited = visits > 0
    q_values = lockstep.forest.edges["value_sum"][0, ROOT] / np.maximum(visits, 1)
    own_value = float(lockstep.forest.nodes["value"][0, ROOT])
    mean_q = (priors * q_values)[visited].sum() / priors[visited].sum()
    mixed_value = (own_value + 12 * mean_q) / 13
    completed = np.where(visited, q_values, mixed_value)
    weights = priors * np.exp((50 + visits.max()) * 0.2 * completed)
    np.testing.assert_allclose(lockstep.targets[0], weights / weights.sum(), rtol=1e-4)


def test_a_root_hoped_for_in_vain_still_has_a_policy_target(random_tree: Game):
    """With all actions visited v_mix may lie far above every q; at this scale exp(-sigma) would be 0 for all."""
    settings = SearchSettings(
        num_simulations=400, max_considered_actions=3, value_scale=20.0, solve=False
    )
    positions = np.array([new_position(key, legal_percent=100) for key in range(50)])
    lockstep = Lockstep(random_tree, settings, positions)
    lockstep.search()
    np.testing.assert_allclose(lockstep.targets.sum(axis=1), 1.0, rtol=1e-5)
    assert np.abs(lockstep.values).max() <= 1.0


def test_the_policy_target_without_simulations_is_the_prior(random_tree: Game):
    positions = np.array([new_position(key) for key in range(20)])
    lockstep = Lockstep(random_tree, SearchSettings(num_simulations=0), positions)
    lockstep.search()
    np.testing.assert_allclose(lockstep.targets, lockstep.priors, rtol=1e-5)
