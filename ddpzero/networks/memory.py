"""Estimates the memory of networks in training and at play before they are built. Called by plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from ddpzero.system.memory import Factor, Need

_FLOAT_BYTES = 4
# Parameters, gradient, moving average, and the optimizer's state of each parameter.
_TRAINING_COPIES = {"adamw": 5, "muon": 4, "sgd": 4}
# Two slots of shared memory, and a checkpoint's copies on the way to disk: weights, average, optimizer.
_COPIES_OF_A_RANK = 6
# The newest weights, the network that loads them, and its fastest form.
_COPIES_OF_AN_ACTOR = 3
# Larger networks are not built to find out their exact size.
_MUCH = 2**40


def parameters_size_bytes(
    make_networks: Callable[[], Mapping[str, nn.Module]], min_parameters: int
) -> int:
    """Bytes of all parameters of the networks, or of min_parameters if those are far too many already."""
    if min_parameters * _FLOAT_BYTES > _MUCH:
        return min_parameters * _FLOAT_BYTES
    with torch.device("meta"):  # shapes without memory
        networks = make_networks()
    return sum(
        parameter.numel() * parameter.element_size()
        for network in networks.values()
        for parameter in network.parameters()
    )


def network_needs(
    parameters_bytes: int,
    factors: Sequence[Factor],
    optimizer: str,
    num_actors: int,
    on_gpu: bool,
    actors_on_gpu: bool,
) -> list[Need]:
    """What a rank and its actors need for the parameters alone. factors: the settings that size the networks."""
    training = _TRAINING_COPIES[optimizer] * parameters_bytes
    of_actors = num_actors * parameters_bytes
    factors = tuple(factors)
    return [
        Need("for the networks in training", training, factors, on_gpu=on_gpu),
        Need("for the networks' copies", _COPIES_OF_A_RANK * parameters_bytes, factors),
        Need(
            "for the actors' networks",
            (_COPIES_OF_AN_ACTOR - actors_on_gpu) * of_actors,
            (*factors, Factor("actors.num_actors", num_actors, 8)),
            once_if_shared=True,
        ),
        Need(
            "for the actors' networks",
            of_actors if actors_on_gpu else 0,
            (*factors, Factor("actors.num_actors", num_actors, 8)),
            on_gpu=True,
            of_actors=True,
            once_if_shared=True,
        ),
    ]
