"""How much memory networks take in training and at play, from their sizes, before they are made. Called by plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from ddpzero.system.memory import Factor, Need

_FLOAT_BYTES = 4
# Parameters, gradient, moving average, and what an optimizer keeps of each parameter.
_TRAINING_COPIES = {"adamw": 5, "muon": 4, "sgd": 4}
# Two slots of shared memory, and what a checkpoint holds on its way to the disk: weights, average, optimizer.
_COPIES_OF_A_RANK = 6
# The newest weights, the network that takes them in, and its fastest form.
_COPIES_OF_AN_ACTOR = 3
# Networks that are at least so large are not built to find out how large.
_MUCH = 2**40


def parameters_size_bytes(
    make_networks: Callable[[], Mapping[str, nn.Module]], min_parameters: int
) -> int:
    """Bytes of all parameters of the networks; of min_parameters alone where those are far too many anyway."""
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
        ),
        Need(
            "for the actors' networks",
            of_actors if actors_on_gpu else 0,
            (*factors, Factor("actors.num_actors", num_actors, 8)),
            on_gpu=True,
        ),
    ]
