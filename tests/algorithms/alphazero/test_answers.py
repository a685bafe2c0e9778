"""Networks whose answers are no numbers: an error that says whose, in self-play and in matches, never an action."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ddpzero.actors.spec import UnusableWeightsError
from ddpzero.algorithms.alphazero.curriculum import STAGE
from ddpzero.algorithms.alphazero.player import AlphaZeroPlayer
from ddpzero.algorithms.alphazero.simulations import SIMULATIONS
from ddpzero.evaluators.answers import EvaluationError
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.search import SearchSettings
from tests.algorithms.alphazero.actors import actor_on_cpu

GAME = load_game("tic_tac_toe")
NETWORK = NetworkSettings(blocks=1, channels=4)
# NaN itself, and finite weights whose outputs are not.
BAD = pytest.mark.parametrize("bad", [np.nan, 1e30])
ALGORITHMS = pytest.mark.parametrize("algorithm", ["gumbel", "puct"])


def bad_network(bad: float) -> torch.nn.Module:
    network = make_network(GAME, NETWORK, ())
    for parameter in network.parameters():
        parameter.data.fill_(bad)
    return network


@BAD
@ALGORITHMS
def test_an_actor_says_that_its_weights_are_of_no_use(algorithm: Any, bad: float):
    actor = actor_on_cpu(
        game={"name": "tic_tac_toe"},
        network=NETWORK,
        search=SearchSettings(algorithm=algorithm, num_simulations=8),
        num_games=4,
    )
    weights = {name: value.numpy() for name, value in bad_network(bad).state_dict().items()}
    what_to_play = {STAGE: np.array(0), SIMULATIONS: np.array([8])}
    actor.receive({**weights, **what_to_play}, weights_version=7)
    with pytest.raises(UnusableWeightsError, match="network of weights_version 7 answered with"):
        for _ in range(10):
            actor.play()


@BAD
@ALGORITHMS
def test_a_player_with_such_weights_is_named(algorithm: Any, bad: float):
    search = SearchSettings(algorithm=algorithm, num_simulations=8)
    player = AlphaZeroPlayer(GAME, bad_network(bad), search, "quick-s99", "cpu", "float32")
    rng = np.random.default_rng(0)
    for ask in (player.choose, player.analyze):
        with pytest.raises(EvaluationError, match="the network of quick-s99 answered with"):
            ask(GAME.new_positions(2), rng)
