"""AlphaZero's network made larger, for `ddpzero grow` and during a run. Called by algorithm.py and updater.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddpzero.algorithms.base import Grown
from ddpzero.games import Game
from ddpzero.networks import NetworkSettings, make_network, unpack_observations
from ddpzero.networks.compatibility import require_fit, require_size
from ddpzero.networks.growth import grow_weights, largest_difference, new_weights
from ddpzero.system.errors import require

NUM_POSITIONS = 64
_MAX_PLIES = 40
_KEYS = ("network.blocks", "network.channels")


def grow_released(
    weights: Mapping[str, Tensor],
    small: NetworkSettings,
    changes: Mapping[str, int],
    game: Game,
    auxiliary: Collection[str],
    seed: int,
) -> Grown:
    """See CompleteAlgorithm.grow. small: the size of the weights."""
    for key in changes:
        require(key in _KEYS, f"{key} cannot grow: only {' and '.join(_KEYS)} can.")
    require(bool(changes), f"nothing is to grow: give {' or '.join(_KEYS)}.")
    blocks = changes.get("network.blocks", small.blocks)
    channels = changes.get("network.channels", small.channels)
    large = replace(small, blocks=blocks, channels=channels)
    small.check_growth(large)
    require_size(weights, small.min_parameters, "the model")
    before, after = (make_network(game, size, auxiliary) for size in (small, large))
    require_fit(weights, before, "the model")
    before.load_state_dict(weights)
    grown = grow_weights(weights, new_weights(game, large, auxiliary, seed), small, large)
    after.load_state_dict(grown)
    planes = unpack_observations(random_observations(game, seed), game)
    difference = largest_difference(before, after, planes, auxiliary)
    values: dict[str, Any] = {"blocks": large.blocks, "channels": large.channels, "growth": []}
    settings = {f"network.{name}": value for name, value in values.items()}
    return Grown(grown, settings, sentence_of_growth(small, large, difference))


def sentence_of_growth(small: NetworkSettings, large: NetworkSettings, difference: float) -> str:
    """Return a sentence for the user. difference: the largest one between the outputs, on random positions."""
    return (
        f"the network grew from {small.size_text} to {large.size_text}: outputs differ by at most {difference:.1g} "
        f"in {NUM_POSITIONS} random positions"
    )


def random_observations(game: Game, seed: int) -> Tensor:
    """Return packed observations `[NUM_POSITIONS, bytes]` of positions after random plies."""
    max_plies = min(_MAX_PLIES, game.spec.max_plies // 2)
    positions = game.random_positions(NUM_POSITIONS, np.random.default_rng(seed), max_plies)
    return torch.from_numpy(np.stack([game.packed_observation(p) for p in positions]))
