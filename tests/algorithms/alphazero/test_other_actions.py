"""AlphaZero on games whose actions are neither cells nor columns of their board: two actions, moves from cell to cell,
as many actions as columns by chance. Every network, self-play, updates, and the trained agent."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddpzero.algorithms.alphazero import make_algorithm
from ddpzero.algorithms.alphazero.curriculum import STAGE, CurriculumSettings
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings
from ddpzero.algorithms.alphazero.simulations import SIMULATIONS
from ddpzero.games import Game, load_game
from ddpzero.networks import NetworkSettings
from ddpzero.search.settings import SearchSettings
from ddpzero.settings import LearnerSettings
from tests.algorithms.alphazero.actors import actor_on_cpu
from tests.places import OWN_GAMES

GAMES = {
    "two actions": {"name": "take"},
    "as many actions as columns": {"name": "take", "pile": 4, "most": 4},
    "from cell to cell": {"name": "pawns"},
}
NETWORKS = [
    NetworkSettings(name=name, blocks=2, channels=16, num_heads=2, value_head=value_head)
    for name in ("resnet", "nested_bottleneck", "attention")
    for value_head in ("pooled", "dense")
]


def arguments_of(kind: str) -> dict[str, object]:
    return {**GAMES[kind], "source": str(OWN_GAMES / f"{GAMES[kind]['name']}.py")}


def sections_of(network: NetworkSettings) -> dict[str, object]:
    return {
        # Views and averages are where actions move with the board.
        "algorithm": AlphaZeroSettings(
            random_symmetry=True,
            play_averages_symmetries=True,
            value_lambda=0.8,
            surprise_weight=0.5,
        ),
        "network": network,
        "search": SearchSettings(num_simulations=8),
        "loss": LossSettings(next_policy=0.3, soft_policy=1.0, short_value=0.3),
        "curriculum": CurriculumSettings(),
    }


def self_play_batch(
    game: Game, kind: str, weights: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    sections = sections_of(NETWORKS[0])
    actor = actor_on_cpu(
        game=arguments_of(kind),
        network=sections["network"],
        search=sections["search"],
        settings=sections["algorithm"],
        loss=sections["loss"],
        curriculum=sections["curriculum"],
    )
    arrays = {name: value.numpy() for name, value in weights.items()}
    actor.receive({**arrays, STAGE: np.array(0), SIMULATIONS: np.array([8])}, 1)
    episodes = []
    while len(episodes) < 8:
        episodes += actor.play()
    for episode in episodes:
        position = game.initial_position()
        for action in episode.info["moves"]:
            position = game.apply_action(position, action)
    columns = [episode.columns for episode in episodes]
    return {
        name: torch.from_numpy(np.concatenate([column[name] for column in columns]))
        for name in columns[0]
    }


@pytest.mark.parametrize("kind", ["two actions", "from cell to cell"])
def test_self_play_updates_and_the_trained_agent(kind):
    game = load_game(**arguments_of(kind))
    torch.manual_seed(0)
    batch: dict[str, torch.Tensor] = {}
    for network in NETWORKS:
        algorithm = make_algorithm(game, sections_of(network))
        networks = algorithm.make_networks()
        learner = LearnerSettings(batch_size=8, precision="float32")
        updater = algorithm.make_updater(
            networks, lambda module: module, learner, torch.device("cpu"), seed=0
        )
        batch = batch or self_play_batch(game, kind, updater.released_weights())
        losses = [updater.update(batch, 3e-3)["losses/policy"] for _ in range(20)]
        assert losses[-1] < losses[0]
        player = algorithm.make_player(updater.released_weights(), "agent")
        (action,) = player.choose(game.new_positions(1), np.random.default_rng(0))
        assert game.legal_actions(game.initial_position())[action]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: f"{n.name}-{n.value_head}")
@pytest.mark.parametrize("kind", GAMES)
def test_every_network_has_a_logit_for_each_action(kind, network):
    game = load_game(**arguments_of(kind))
    algorithm = make_algorithm(game, sections_of(network))
    planes = torch.zeros(3, game.num_inputs, *game.board_shape)
    policy, value = algorithm.make_networks()["network"](planes)
    assert policy.shape == (3, game.num_actions) and value.shape == (3, 3)
    assert not algorithm.fits(load_game(**arguments_of("two actions") | {"pile": 7}))
