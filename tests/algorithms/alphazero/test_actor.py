"""When the episodes of an actor begin and end."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.algorithms.alphazero.actor import AlphaZeroActor
from ddpzero.algorithms.alphazero.curriculum import STAGE
from ddpzero.algorithms.alphazero.settings import LossSettings
from ddpzero.algorithms.alphazero.simulations import SIMULATIONS
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.replay import Episode
from ddpzero.search import SearchSettings
from tests.algorithms.alphazero.actors import actor_on_cpu

GAME = {"name": "dots_and_boxes", "rows": 2, "columns": 2}
NETWORK = NetworkSettings(blocks=1, channels=4)
NUM_GAMES = 64


@pytest.fixture
def actor() -> AlphaZeroActor:
    actor = actor_on_cpu(
        game=GAME, network=NETWORK, search=SearchSettings(num_simulations=2), num_games=NUM_GAMES
    )
    game = load_game(**GAME)
    network = make_network(game, NETWORK, LossSettings().auxiliary(game))
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    actor.receive({**weights, STAGE: np.array(0), SIMULATIONS: np.array([2])}, 0)
    return actor


def plies_before_samples(episodes: list[Episode]) -> np.ndarray:
    return np.array([episode.info["num_plies"] - episode.num_samples for episode in episodes])


def test_the_first_episodes_begin_all_over_the_game(actor: AlphaZeroActor) -> None:
    episodes: list[Episode] = []
    while len(episodes) < 4 * NUM_GAMES:
        episodes += actor.play()
    begun = plies_before_samples(episodes)
    assert (begun[:NUM_GAMES] > 0).sum() > NUM_GAMES / 2
    assert len(np.unique(begun)) > 8
    assert not begun[2 * NUM_GAMES :].any()
    # All games last 12 plies, so without this all of them would end together.
    running = actor._all_games()[0].groups[0].buffers.num_plies
    assert len(np.unique(running)) > 6


def test_in_rounds_all_begin_at_the_start(actor: AlphaZeroActor) -> None:
    actor.start_round(NUM_GAMES, round_seed=3)
    episodes: list[Episode] = []
    while not actor.round_done:
        episodes += actor.play()
    assert len(episodes) == NUM_GAMES
    assert not plies_before_samples(episodes).any()
