"""What a batch costs beside its positions: how many of them are evaluated in hardly more time than one."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ddpzero.games import Game
from ddpzero.networks import SymmetryAverage
from ddpzero.networks.layers import Convolution

# A processor begins each layer anew for each batch. With quick's network that takes 0.36 ms on a core with AVX512, as
# long as so many multiplications and additions.
_MULTIPLY_ADDS_OF_BATCH = 60e6


def positions_together(network: nn.Module, game: Game, device: str, most: int) -> int:
    """Return how many positions take a batch of one about twice as long, 1 to `most`.

    On a CPU by the size of the network, not by the clock: searches must repeat their moves. Other devices are hardly
    busy with a few positions.
    """
    if torch.device(device).type != "cpu":
        return most
    return max(1, min(most, int(_MULTIPLY_ADDS_OF_BATCH / multiply_adds(network, game))))


@torch.inference_mode()
def multiply_adds(network: nn.Module, game: Game) -> int:
    """Return those of the network's convolutions and linear layers for one position."""
    if isinstance(network, SymmetryAverage):
        return len(game.spec.cell_symmetries) * multiply_adds(network.network, game)
    total = 0

    def count(module: Any, _: Any, output: torch.Tensor) -> None:
        nonlocal total
        total += module.weight.numel() * (output.numel() // module.weight.shape[0])

    layers = [m for m in network.modules() if isinstance(m, Convolution | nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        parameter = next(network.parameters())
        planes = torch.zeros(1, game.num_inputs, *game.board_shape).to(parameter)
        network(planes)
    finally:
        for hook in hooks:
            hook.remove()
    return total
