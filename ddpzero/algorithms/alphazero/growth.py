"""AlphaZero's network made larger, for `ddpzero grow` and during a run. Called by algorithm.py and updater.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ddpzero.algorithms.base import Grown, RunProgress
from ddpzero.algorithms.updates import TrainedNetwork
from ddpzero.games import Game
from ddpzero.networks import NetworkSettings, make_network, unpack_observations
from ddpzero.networks.compatibility import require_fit, require_size
from ddpzero.networks.growth import (
    grow_optimizers,
    grow_weights,
    largest_difference,
    new_network,
)
from ddpzero.networks.memory_format import on_device
from ddpzero.system.errors import require

NUM_POSITIONS = 64
_MAX_PLIES = 40
# Outputs are about 10: rounding does not make such a difference.
_MAX_DIFFERENCE = 0.01
_KEYS = ("network.blocks", "network.channels")


class Growth:
    """The sizes of an updater's network during a run. settings: the first size, and the growths.

    size: the present one.
    """

    def __init__(self, settings: NetworkSettings, game: Game, auxiliary: Collection[str]):
        self._settings = settings
        self._game = game
        self._auxiliary = auxiliary
        self._sizes = settings.sizes
        self.size = self._sizes[0]

    def due_size(self, progress: RunProgress) -> NetworkSettings:
        """Return the size that the network should have at this point of a run; never one before the present size."""
        index = self._sizes.index(self.size)
        growths = self._settings.growth
        while index < len(growths) and growths[index].is_due(*progress):
            index += 1
        return self._sizes[index]

    def grow(
        self, trained: TrainedNetwork, larger: NetworkSettings, device: torch.device, seed: int
    ) -> str:
        """Make the network larger without a change of its function; return a sentence about it."""
        small, old = self.size, trained.network
        network = self._new_network(larger, device, seed)
        fresh = network.state_dict()
        weights, average = (
            grow_weights(values, fresh, small, larger)
            for values in (old.state_dict(), trained.average.values)
        )
        network.load_state_dict(weights)
        observations = random_observations(self._game, seed).to(device)
        planes = unpack_observations(observations, self._game)
        difference = largest_difference(old, network, planes, self._auxiliary)
        copy_states = partial(grow_optimizers, old, network, small=small, large=larger)
        trained.replace(network, average, copy_states)
        self.size = larger
        return sentence_of_growth(small, larger, difference)

    def take_size_of(
        self, trained: TrainedNetwork, weights: Mapping[str, Tensor], device: torch.device
    ) -> bool:
        """Give the network the size of these weights, with new parameters; return whether the size has changed."""
        size = self._settings.size_of(weights)
        if size == self.size:
            return False
        network = self._new_network(size, device, seed=0)
        trained.replace(network, network.state_dict(), _no_states)
        self.size = size
        return True

    def possible_weights(self) -> list[dict[str, Tensor]]:
        """Return the weights of a network of each size, on the device "meta"."""
        with torch.device("meta"):
            return [
                make_network(self._game, size, self._auxiliary).state_dict() for size in self._sizes
            ]

    def _new_network(self, size: NetworkSettings, device: torch.device, seed: int) -> nn.Module:
        return on_device(new_network(self._game, size, self._auxiliary, seed), device)


def _no_states(old: Sequence[Optimizer], new: Sequence[Optimizer]) -> None:
    """Copy nothing: the states come from a checkpoint."""


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
    before, after = make_network(game, small, auxiliary), new_network(game, large, auxiliary, seed)
    require_fit(weights, before, "the model")
    before.load_state_dict(weights)
    grown = grow_weights(weights, after.state_dict(), small, large)
    after.load_state_dict(grown)
    planes = unpack_observations(random_observations(game, seed), game)
    difference = largest_difference(before, after, planes, auxiliary)
    if not difference < _MAX_DIFFERENCE:
        raise RuntimeError(
            f"the outputs of the larger network differ by {difference:g}: nothing was written."
        )
    values: dict[str, Any] = {"blocks": large.blocks, "channels": large.channels, "growth": []}
    settings = {f"network.{name}": value for name, value in values.items()}
    return Grown(grown, settings, sentence_of_growth(small, large, difference))


def sentence_of_growth(small: NetworkSettings, large: NetworkSettings, difference: float) -> str:
    """Return a sentence for the user. difference: the largest one between the outputs, on random positions."""
    change = f"differ by at most {difference:.1g}" if difference > 0 else "are equal"
    return (
        f"the network grew from {small.size_text} to {large.size_text}: outputs {change} in {NUM_POSITIONS} random "
        "positions"
    )


def random_observations(game: Game, seed: int) -> Tensor:
    """Return packed observations `[NUM_POSITIONS, bytes]` of positions after random plies."""
    max_plies = min(_MAX_PLIES, game.spec.max_plies // 2)
    positions = game.random_positions(NUM_POSITIONS, np.random.default_rng(seed), max_plies)
    return torch.from_numpy(np.stack([game.packed_observation(p) for p in positions]))
