"""Estimates the memory that a rank and its actors need for AlphaZero, from the layouts that the code allocates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ddpzero.algorithms.alphazero.curriculum import Curriculum
from ddpzero.algorithms.alphazero.lockstep import tree_size
from ddpzero.algorithms.alphazero.selfplay import episode_buffers_size_bytes
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.algorithms.alphazero.simulations import Simulations
from ddpzero.games import Game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.networks.memory import network_needs, parameters_size_bytes
from ddpzero.search import SearchSettings
from ddpzero.search.config import config_size_bytes
from ddpzero.search.forest import forest_size_bytes
from ddpzero.settings import ActorSettings, LearnerSettings
from ddpzero.system.memory import Factor, Need

# Feature tensors of a tower that are in memory at the same time: in a forward pass, and per block in training.
_LIVE_TENSORS = 3
_SAVED_TENSORS = 3
_HALF_BYTES = 2


def memory_needs(
    curriculum: Curriculum,
    network: NetworkSettings,
    search: SearchSettings,
    auxiliary: Collection[str],
    settings: AlphaZeroSettings,
    actors: ActorSettings,
    num_actors: int,
    learner: LearnerSettings,
    on_gpu: bool,
    actors_on_gpu: bool,
) -> list[Need]:
    """See CompleteAlgorithm.memory_needs. auxiliary: heads of the network besides policy and value."""
    sizes = Simulations(
        curriculum.num_simulations, settings.final_num_simulations, actors.max_effort
    )
    cache_megabytes = settings.evaluation_cache_megabytes
    frame = curriculum.frame
    of_network = _network_factors(network)
    # The largest size that the network will have.
    network = network.sizes[-1]
    parameters = parameters_size_bytes(
        lambda: {"network": make_network(frame, network, auxiliary)}, network.min_parameters
    )
    of_actors = (
        Factor("actors.num_games", actors.num_games, 128),
        Factor("actors.num_actors", num_actors, 8),
    )
    leaves = Factor("search.leaves_per_round", search.leaves_per_round, 1)
    features = _features_bytes(frame, network)
    batch = actors.num_games * search.leaves_per_round
    trees_bytes = _largest_trees_bytes(curriculum, sizes, search, actors.num_games)
    parts = [part for stage in curriculum.stages for part in stage]
    without_effort = replace(sizes, max_effort=1.0)
    simulations = max(without_effort.most(part.num_simulations) for part in parts)
    is_final = simulations > max(part.num_simulations for part in parts)
    simulations_key = "algorithm.final_num_simulations" if is_final else "search.num_simulations"
    return [
        *network_needs(
            parameters, of_network, learner.optimizer, num_actors, on_gpu, actors_on_gpu
        ),
        Need(
            "for a batch in training",
            learner.batch_size
            // learner.gradient_accumulation
            * features
            * (_SAVED_TENSORS * network.blocks + 1),
            (Factor("learner.batch_size", learner.batch_size, 256), *of_network),
            on_gpu=on_gpu,
        ),
        Need(
            "for search trees",
            num_actors * trees_bytes,
            (
                Factor(simulations_key, simulations, 100),
                Factor("actors.max_effort", actors.max_effort, 1),
                leaves,
                *of_actors,
            ),
        ),
        Need(
            "for the actors' batches",
            num_actors * batch * features * _LIVE_TENSORS,
            (leaves, *of_actors, *of_network),
            on_gpu=actors_on_gpu,
            of_actors=True,
        ),
        Need(
            "for cached evaluations",
            int(num_actors * cache_megabytes * 1e6),
            (Factor("algorithm.evaluation_cache_megabytes", cache_megabytes, 32), of_actors[1]),
        ),
        Need(
            "for archived positions",
            num_actors * _archives_size_bytes(curriculum, settings),
            (
                Factor("algorithm.restart_archive_size", settings.restart_archive_size, 2_000),
                of_actors[1],
            ),
        ),
    ]


def _largest_trees_bytes(
    curriculum: Curriculum, sizes: Simulations, search: SearchSettings, num_games: int
) -> int:
    """Return the most that the trees of one actor need: episodes of a stage still run while the next stage starts."""
    stages = [
        sum(
            _games_size_bytes(
                curriculum.embeddings[part.board].board,
                replace(search, num_simulations=sizes.most(part.num_simulations)),
                num_games,
            )
            for part in stage
        )
        for stage in curriculum.stages
    ]
    return max(first + second for first, second in zip(stages, [*stages[1:], 0], strict=True))


def _archives_size_bytes(curriculum: Curriculum, settings: AlphaZeroSettings) -> int:
    """Return the memory of an actor's full archives, one for each part of a stage."""
    if settings.restart_fraction == 0:
        return 0
    # Moves once in an array and once in a key, with Python's overhead of both.
    position_bytes = 2 * 4 * curriculum.frame.spec.max_plies + 250
    return curriculum.most_parts * settings.restart_archive_size * position_bytes


def bench_needs(
    game: Game, search: SearchSettings, network: NetworkSettings | None, num_games: int
) -> list[Need]:
    """Return the memory needs of searches in num_games slots, with this network or, if None, without one."""
    games = Factor("actors.num_games", num_games, 128)
    leaves = Factor("search.leaves_per_round", search.leaves_per_round, 1)
    simulations = Factor("search.num_simulations", search.num_simulations, 100)
    size_bytes = searches_size_bytes(game, search, num_games)
    needs = [Need("for search trees", size_bytes, (simulations, leaves, games))]
    if network is None:
        return needs
    network = network.sizes[0]
    parameters = parameters_size_bytes(
        lambda: {"network": make_network(game, network)}, network.min_parameters
    )
    features = _LIVE_TENSORS * _features_bytes(game, network)
    of_network = _network_factors(network)
    return [
        *needs,
        Need("for the network and its fastest form", 2 * parameters, of_network),
        Need(
            "for batches",
            num_games * search.leaves_per_round * features,
            (leaves, games, *of_network),
        ),
    ]


def _network_factors(network: NetworkSettings) -> tuple[Factor, ...]:
    """Return the settings of the network's largest size."""
    keys, largest = {}, network.sizes[-1]
    for name in ("channels", "blocks"):
        grown = [i for i, growth in enumerate(network.growth) if getattr(growth, name) is not None]
        keys[name] = f"network.growth[{grown[-1]}].{name}" if grown else f"network.{name}"
    return (
        Factor(keys["channels"], largest.channels, 64),
        Factor(keys["blocks"], largest.blocks, 6),
    )


def searches_size_bytes(game: Game, search: SearchSettings, num_games: int) -> int:
    """Return the memory of a Search with num_games slots and of its evaluator's buffers."""
    max_nodes = search.num_simulations + 1
    return (
        forest_size_bytes(game, search, num_games, max_nodes)
        + config_size_bytes(search)
        + num_games * search.leaves_per_round * _evaluation_bytes(game)
    )


def _games_size_bytes(board: Game, search: SearchSettings, num_games: int) -> int:
    return (
        forest_size_bytes(board, search, num_games, tree_size(search))
        + config_size_bytes(search)
        + episode_buffers_size_bytes(board, num_games)
        + num_games * search.leaves_per_round * _evaluation_bytes(board)
    )


def _evaluation_bytes(game: Game) -> int:
    """Return the memory of one position in an evaluator's slot: observation, logits and outcome probabilities."""
    return game.observation_size_bytes + 4 * game.num_actions + 16


def _features_bytes(game: Game, network: NetworkSettings) -> int:
    """Return the least memory of one position's features: in half precision."""
    height, width = game.board_shape
    return height * width * network.channels * _HALF_BYTES
