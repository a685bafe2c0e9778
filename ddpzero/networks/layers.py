"""Building blocks of towers and heads."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["identity", "relu", "silu"]

ACTIVATIONS = {"identity": lambda planes: planes, "relu": functional.relu, "silu": functional.silu}


class Convolution(nn.Module):
    """activation(convolution(planes) + residual): keeps the board's size, zeros lie around it.

    One module for the three steps: inference gives them to the processor as one kernel (evaluators/fused.py).
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
