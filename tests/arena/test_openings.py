"""Facts about random openings."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.arena.openings import random_openings
from ddpzero.games import load_game


def test_openings_are_distinct_when_the_game_has_enough():
    game = load_game("connect_four")
    openings = random_openings(game, 200, np.random.default_rng(0))
    assert len(np.unique(openings.positions, axis=0)) == 200


def test_openings_are_as_short_as_their_number_allows():
    game = load_game("connect_four")
    plies = [random_openings(game, n, np.random.default_rng(0)).num_plies for n in (10, 100, 500)]
    assert plies == [2, 3, 4]


def test_tic_tac_toe_openings_leave_the_game_drawn():
    # After two random plies the game may be lost; after one it never is.
    openings = random_openings(load_game("tic_tac_toe"), 100, np.random.default_rng(0))
    assert openings.num_plies == 1
    _, counts = np.unique(openings.positions, axis=0, return_counts=True)
    assert sorted(counts) == [11] * 8 + [12]


def test_no_opening_is_over():
    game = load_game("tic_tac_toe")
    openings = random_openings(game, 100, np.random.default_rng(0), num_plies=6)
    assert not any(game.is_terminal(position) for position in openings.positions)


def test_no_plies_means_the_start_position():
    game = load_game("connect_four")
    openings = random_openings(game, 3, np.random.default_rng(0), num_plies=0)
    np.testing.assert_array_equal(openings.positions, game.new_positions(3))


def test_openings_longer_than_the_game_are_refused():
    with pytest.raises(ValueError, match="opening_plies=9: random games of tic_tac_toe are over"):
        random_openings(load_game("tic_tac_toe"), 5, np.random.default_rng(0), num_plies=9)


def test_the_same_seed_gives_the_same_openings():
    game = load_game("gomoku")
    one, two, other = (
        random_openings(game, 20, np.random.default_rng(seed)).positions for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()
