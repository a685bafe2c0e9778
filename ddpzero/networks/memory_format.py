"""The order of a convolution's numbers in memory that is fast on a device. Called by evaluators and updaters."""

from __future__ import annotations

import torch
from torch import nn


def fast_memory_format(device: torch.device) -> torch.memory_format:
    """Return the memory format for convolutions on `device`: channels_last on CPUs and NVIDIA's GPUs.

    On Apple's GPUs it gave wrong gradients (pytorch/pytorch#143196), and then took 30 times as long for them (#193349).
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def on_device(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to a device, in the memory format that is fast there."""
    moved = network.to(device)
    moved.to(memory_format=fast_memory_format(device))  # type: ignore[call-overload]
    return moved
