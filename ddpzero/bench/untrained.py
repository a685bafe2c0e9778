"""The updater of an untrained network, whose weights benchmarks play with."""

from __future__ import annotations

import torch

from ddpzero.algorithms.base import CompleteAlgorithm, CompleteUpdater
from ddpzero.settings import Settings


def untrained_updater(
    algorithm: CompleteAlgorithm, settings: Settings, seed: int
) -> CompleteUpdater:
    """Return an updater on the CPU whose networks have only been initialized, by this seed."""
    torch.manual_seed(seed)
    networks, device = algorithm.make_networks(), torch.device("cpu")
    return algorithm.make_updater(networks, lambda module: module, settings.learner, device, seed)
