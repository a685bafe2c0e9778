"""Facts about PUCT beyond its agreement with the reference: root noise, temperature, reused subtrees."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ddpzero.games import Game
from ddpzero.search import SearchSettings
from ddpzero.search.forest import ROOT
from tests.search.games.random_tree import new_position
from tests.search.harness import Lockstep

NUM_GAMES = 4000


def puct(**changes) -> SearchSettings:
    return SearchSettings(**({"algorithm": "puct", "num_simulations": 16} | changes))


def many_games_from_one_position(random_tree: Game, settings: SearchSettings) -> Lockstep:
    position = new_position(key=3, legal_percent=60)
    lockstep = Lockstep(random_tree, settings, np.tile(position, (NUM_GAMES, 1)))
    lockstep.search()
    return lockstep


def root_priors_without_noise(random_tree: Game) -> np.ndarray:
    position = new_position(key=3, legal_percent=60)
    lockstep = Lockstep(random_tree, puct(dirichlet_fraction=0.0), position[None])
    lockstep.search()
    return lockstep.priors[0].astype(np.float64)


def test_root_noise_is_dirichlet_mixed_in_with_the_fraction_given(random_tree: Game):
    fraction, alpha = 0.4, 0.5
    settings = puct(num_simulations=1, dirichlet_fraction=fraction, dirichlet_alpha=alpha)
    lockstep = many_games_from_one_position(random_tree, settings)
    priors = root_priors_without_noise(random_tree)
    num_legal = (priors > 0).sum()
    noise = (lockstep.priors - (1 - fraction) * priors) / fraction
    assert (noise[:, priors == 0] == 0).all()
    assert noise.min() > -1e-6
    np.testing.assert_allclose(noise.sum(axis=1), 1.0, atol=1e-5)
    noise = noise[:, priors > 0]
    variance = (num_legal - 1) / (num_legal**2 * (num_legal * alpha + 1))
    error = 5 * math.sqrt(variance / NUM_GAMES)
    np.testing.assert_allclose(noise.mean(axis=0), 1 / num_legal, atol=error)
    np.testing.assert_allclose(noise.var(axis=0), variance, rtol=0.15)


def test_every_move_gets_noise_of_its_own_on_the_priors_of_a_reused_root(random_tree: Game):
    """The prior of a reused root is mixed once, however deep the game: noise does not pile up."""
    settings = puct(num_simulations=40, reuse_subtree=True, dirichlet_fraction=0.3)
    position = new_position(key=3, max_plies=40, legal_percent=60, end_percent=0)
    lockstep = Lockstep(random_tree, settings, np.tile(position, (2000, 1)))
    lockstep.search()
    action = int(lockstep.visits.sum(axis=0).argmax())
    children = lockstep.forest.edges["child"][:, ROOT, action]
    reused = children >= 0
    games = np.arange(2000)
    clean_priors = lockstep.forest.edges["prior"][games[reused], children[reused]]
    assert (clean_priors == clean_priors[0]).all()
    lockstep.play(np.full(2000, action))
    lockstep.propose()
    noise = (lockstep.priors[reused] - 0.7 * clean_priors) / 0.3
    np.testing.assert_allclose(noise.sum(axis=1), 1.0, atol=1e-5)
    assert noise.min() > -1e-6
    assert len(np.unique(noise[:, clean_priors[0].argmax()])) > 1000


def test_temperature_one_draws_moves_in_proportion_to_visits(random_tree: Game):
    settings = puct(dirichlet_fraction=0.0, temperature=1.0, temperature_plies=10)
    lockstep = many_games_from_one_position(random_tree, settings)
    shares = np.bincount(lockstep.actions, minlength=random_tree.num_actions) / NUM_GAMES
    np.testing.assert_allclose(shares, lockstep.visits[0] / 16, atol=0.04)


def test_a_low_temperature_sharpens(random_tree: Game):
    settings = puct(dirichlet_fraction=0.0, temperature=0.5, temperature_plies=10)
    lockstep = many_games_from_one_position(random_tree, settings)
    shares = np.bincount(lockstep.actions, minlength=random_tree.num_actions) / NUM_GAMES
    squares = lockstep.visits[0].astype(float) ** 2
    np.testing.assert_allclose(shares, squares / squares.sum(), atol=0.04)


def test_after_temperature_plies_the_final_temperature_holds(random_tree: Game):
    settings = puct(dirichlet_fraction=0.0, temperature=1.0, temperature_plies=3)
    lockstep = many_games_from_one_position(random_tree, settings)
    lockstep.search(ply=2)
    assert len(np.unique(lockstep.actions)) > 1
    lockstep.search(ply=3)
    np.testing.assert_array_equal(lockstep.actions, lockstep.visits.argmax(axis=1))


@pytest.mark.parametrize("num_moves", [1, 2])
def test_a_reused_subtree_keeps_its_visits(random_tree: Game, num_moves: int):
    settings = puct(num_simulations=30, reuse_subtree=True, dirichlet_fraction=0.0)
    positions = np.array([new_position(key, max_plies=20, end_percent=0) for key in range(30)])
    lockstep = Lockstep(random_tree, settings, positions)
    games = np.arange(30)
    for _ in range(num_moves):
        lockstep.search()
        actions = lockstep.visits.argmax(axis=1)
        kept_visits = lockstep.visits[games, actions] - 1  # one of them evaluated the child itself
        lockstep.play(actions)
        np.testing.assert_array_equal(lockstep.visits.sum(axis=1), kept_visits)
    lockstep.search()
    np.testing.assert_array_equal(lockstep.visits.sum(axis=1), kept_visits + 30)


def test_without_reuse_every_move_starts_from_an_unvisited_root(random_tree: Game):
    settings = puct(num_simulations=30, reuse_subtree=False)
    positions = np.array([new_position(key, max_plies=20, end_percent=0) for key in range(30)])
    lockstep = Lockstep(random_tree, settings, positions)
    for _ in range(3):
        lockstep.search()
        np.testing.assert_array_equal(lockstep.visits.sum(axis=1), 30)
        lockstep.play(lockstep.actions)
