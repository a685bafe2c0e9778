"""The precision in which a network is evaluated: the configured one, or the fastest on this device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ddpzero.evaluators.inference import InferenceNetwork
from ddpzero.games import Game
from ddpzero.networks.precision import Precision, faster_dtype, positions_to_measure


def make_inference_network(
    network: nn.Module,
    game: Game,
    batch_size: int,
    device: torch.device,
    precision: Precision = "auto",
    compile: bool = False,
    points_scale: float | None = None,
    random_symmetry: bool = False,
) -> InferenceNetwork:
    """precision "auto": float32, or the device's narrow dtype if it is measured clearly faster (half a second)."""

    def make_step(dtype: torch.dtype, num_positions: int) -> Callable[[], Any]:
        inference = InferenceNetwork(network, game, device, dtype)
        shape = (num_positions, game.observation_size_bytes)
        planes = inference.planes(torch.zeros(shape, dtype=torch.uint8, device=device))
        return lambda: inference.forward(planes)

    if precision == "auto":
        num_positions = positions_to_measure(game, batch_size)
        dtype = faster_dtype(make_step, num_positions, device, "is evaluated")
    else:
        dtype = getattr(torch, precision)
    return InferenceNetwork(network, game, device, dtype, compile, points_scale, random_symmetry)
