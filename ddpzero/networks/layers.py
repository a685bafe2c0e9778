"""Building blocks of towers and heads. Letters: B batch, C channels, H x W board.

A board that is smaller than its frame has `on_board` `[B, 1, H, W]`, ones on it and zeros around it: with
zeros outside the board, a convolution cannot tell the board's edge from the frame's edge. None: no board is smaller.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["identity", "relu", "silu"]

ACTIVATIONS = {"identity": lambda planes: planes, "relu": functional.relu, "silu": functional.silu}

# Finite stand-in for -inf, representable in float16; masks logits and maxima.
MASKED_LOGIT = -1e4
# `pool` measures a board's side relative to this; sides of 3 to 19 give -0.7 to 0.9.
_MIDDLE_SIDE = 10.0


class Convolution(nn.Module):
    """activation(convolution(planes) + residual): keeps the board's size, with zero padding.

    One module for the three steps, because inference runs them as one kernel (evaluators/fused.py).
    kernel_size: odd. Starts with He's normal weights and no bias.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, activation: Activation
    ):
        super().__init__()
        self.activation: Activation = activation
        self.padding = kernel_size // 2
        fan_in = in_channels * kernel_size**2
        weight = torch.randn(out_channels, in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(weight * math.sqrt(2.0 / fan_in))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, planes: Tensor, residual: Tensor | None = None) -> Tensor:
        """planes: `[B, in, H, W]`; residual and result: `[B, out, H, W]`."""
        result = functional.conv2d(planes, self.weight, self.bias, padding=self.padding)
        if residual is not None:
            result = result + residual
        return ACTIVATIONS[self.activation](result)


def mask_off_board(features: Tensor, on_board: Tensor | None) -> Tensor:
    """Set features `[B, C, H, W]` to zero outside the boards. Call it before a convolution or a pooling mixes cells."""
    return features if on_board is None else features * on_board.to(features.dtype)


def first_channels(features: Tensor, count: int) -> Tensor:
    """Return the first channels of features, in memory of their own on a CPU, where its operators are slow on a slice.

    That is 3 % of the time of a 64x4 network with global pooling in one block.
    """
    part = features[:, :count]
    if part.device.type != "cpu":
        return part
    return part.contiguous(memory_format=torch.channels_last)


def pool(features: Tensor, on_board: Tensor | None) -> Tensor:
    """`[B, 3 * C]`: the features' mean over the board, the same times the board's size, their maximum (Wu, 2019).

    The board's size, as a number around 0, lets the network distinguish counts from shares.
    """
    if on_board is None:
        mean = features.mean((2, 3))
        side = math.sqrt(features.shape[2] * features.shape[3])
        # Not amax: its gradient, shared among equal cells, costs as much as two convolutions.
        maximum = functional.adaptive_max_pool2d(features, 1).flatten(1)
        return torch.cat([mean, mean * ((side - _MIDDLE_SIDE) / 10.0), maximum], dim=1)
    num_cells = on_board.float().sum((2, 3))
    on_board = on_board.to(features.dtype)
    mean = (features * on_board).sum((2, 3)) / num_cells
    maximum = functional.adaptive_max_pool2d(features + MASKED_LOGIT * (1.0 - on_board), 1).flatten(
        1
    )
    scaled = mean * ((num_cells.sqrt() - _MIDDLE_SIDE) / 10.0)
    return torch.cat([mean, scaled, maximum], dim=1).to(features.dtype)
