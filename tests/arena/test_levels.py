"""Facts about levels of strength in matches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from ddpzero.algorithms.alphazero.player import AlphaZeroPlayer
from ddpzero.arena.levels import FULL_LEVEL, Level, LeveledPlayer, level_of
from ddpzero.arena.match import play_match
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.search import SearchSettings


@pytest.fixture(scope="module")
def game():
    return load_game("tic_tac_toe")


@pytest.fixture(scope="module")
def player(game):
    torch.manual_seed(0)
    network = make_network(game, NetworkSettings(blocks=1, channels=8))
    return AlphaZeroPlayer(game, network, SearchSettings(), "agent", "cpu", "float32")


def test_levels_rise_in_simulations_and_fall_in_temperature():
    levels = [level_of(number) for number in range(1, FULL_LEVEL)]
    assert all(level is not None for level in levels)
    assert all(
        low.simulations <= high.simulations and low.temperature > high.temperature
        for low, high in pairwise(levels)
    )
    assert level_of(FULL_LEVEL) is None


@pytest.mark.parametrize("number", [0, 10, -1])
def test_other_numbers_are_no_levels(number):
    with pytest.raises(ValueError, match=f"{number} is not a level"):
        level_of(number)


def test_a_level_with_temperature_plays_several_moves_and_one_without_always_the_same(game, player):
    positions = np.repeat(game.initial_position()[None], 40, axis=0)
    rng = np.random.default_rng(0)
    hot = LeveledPlayer(player, game, Level(0, 8.0), "hot")
    assert hot.uses_chance and len(set(hot.choose(positions, rng))) > 4
    cold = LeveledPlayer(player, game, Level(40, 0.0), "cold")
    assert not cold.uses_chance and len(set(cold.choose(positions, rng))) == 1
    assert (hot.num_simulations, cold.num_simulations) == (0, 40)


def test_simulations_without_temperature_beat_the_lowest_level(game, player):
    strong = LeveledPlayer(player, game, Level(60, 0.0), "strong")
    weak = LeveledPlayer(player, game, Level(0, 8.0), "weak")
    assert play_match(strong, weak, game, 40, seed=0).score() > 0.75
