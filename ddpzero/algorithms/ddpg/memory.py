"""Estimates the memory that a rank and its actors need for DDPG, from the layouts that the code allocates."""

from __future__ import annotations

import math

from ddpzero.algorithms.ddpg.networks import make_networks
from ddpzero.algorithms.ddpg.samples import episodes_layout, observation_shape
from ddpzero.algorithms.ddpg.settings import ActorCriticSettings, DDPGSettings, OpponentSettings
from ddpzero.games import TeamGame
from ddpzero.networks.memory import network_needs, parameters_size_bytes
from ddpzero.settings import ActorSettings, LearnerSettings
from ddpzero.system.memory import Factor, Need, layout_size_bytes


def memory_needs(
    game: TeamGame,
    settings: DDPGSettings,
    network: ActorCriticSettings,
    opponent: OpponentSettings,
    actors: ActorSettings,
    num_actors: int,
    learner: LearnerSettings,
    on_gpu: bool,
    actors_on_gpu: bool,
) -> list[Need]:
    """See CompleteAlgorithm.memory_needs."""
    parameters = parameters_size_bytes(
        lambda: make_networks(game, settings, network), network.min_parameters
    )
    of_network = (
        Factor("network.width", network.width, 128),
        Factor("network.layers", network.layers, 2),
        Factor("network.channels", network.channels, 16),
    )
    of_actors = (
        Factor("actors.num_games", actors.num_games, 32),
        Factor("actors.num_actors", num_actors, 8),
    )
    past = Factor("opponent.num_past_selves", opponent.num_past_selves, 4)
    # Copies: in the learner, in two slots for publishing, while saving, and in each actor as arrays and as networks.
    past_copies = opponent.num_past_selves * (4 + 2 * num_actors)
    batch_numbers = 2 * math.prod(observation_shape(game, settings))
    batch_numbers += 6 * network.width * network.layers
    return [
        *network_needs(
            # Twice, because of the target networks.
            2 * parameters,
            of_network,
            learner.optimizer,
            num_actors,
            on_gpu,
            actors_on_gpu,
        ),
        Need("for past selves", past_copies * parameters // 3, (past, of_actors[1], *of_network)),
        Need(
            "for a batch in training",
            4 * learner.batch_size * batch_numbers // learner.gradient_accumulation,
            (Factor("learner.batch_size", learner.batch_size, 512), *of_network),
            on_gpu=on_gpu,
        ),
        Need(
            "for running episodes",
            num_actors * layout_size_bytes(episodes_layout(game, settings, actors.num_games)),
            of_actors,
        ),
    ]
