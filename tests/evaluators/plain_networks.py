"""Networks whose every parameter matters, and what they say without any evaluator."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ddpzero.games import Game
from ddpzero.networks import NetworkSettings, make_network, unpack_observations


def trained_looking_network(game: Game, seed: int = 0, channels: int = 16) -> nn.Module:
    """A network far from its start, where blocks are the identity and biases are zero."""
    torch.manual_seed(seed)
    network = make_network(game, NetworkSettings(blocks=2, channels=channels))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def random_observations(game: Game, num_positions: int, seed: int = 0) -> np.ndarray:
    shape = (num_positions, game.observation_size_bytes)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@torch.no_grad()
def expected(network: nn.Module, game: Game, observations: np.ndarray) -> tuple[np.ndarray, ...]:
    """Logits, and outcome probabilities with no points behind them, straight from the network."""
    logits, value_logits = network(unpack_observations(torch.from_numpy(observations), game))
    outcomes = torch.cat([value_logits.softmax(1), torch.zeros(len(logits), 1)], dim=1)
    return logits.numpy(), outcomes.numpy()


def evaluate(evaluator, observations: np.ndarray, slot: int = 0) -> tuple[np.ndarray, np.ndarray]:
    evaluator.observations(slot)[: len(observations)] = observations
    evaluator.submit(slot, len(observations))
    return evaluator.collect(slot)
