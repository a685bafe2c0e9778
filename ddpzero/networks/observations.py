"""Packed observations become a network's input here, on the device that uses them. Called by evaluators and updaters.

A network sees planes alone: a number that concerns the whole board becomes a plane that is the same everywhere.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from ddpzero.games import Game


def unpack_observations(
    packed: Tensor,
    game: Game,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """Unpack observations into planes, on the device of `packed`.

    packed: `[B, game.observation_size_bytes]` uint8: planes as np.packbits(bitorder="little") over C * H * W writes
    them, then the globals as int8.
    Returns `[B, C + F, H, W]` of `dtype` in `memory_format`: planes of zeros and ones, then the globals times their
    scales.
    """
    num_planes, (height, width) = game.num_planes, game.board_shape
    # One look-up per byte: two to four times faster than shifts and masks, and already in the right dtype.
    bits = functional.embedding(
        packed[:, : game.planes_size_bytes].int(), _bits_of_bytes(dtype, packed.device)
    )
    planes = bits.view(len(packed), -1)[:, : num_planes * height * width]
    planes = planes.view(-1, num_planes, height, width)
    if game.spec.num_globals > 0:
        numbers = packed[:, game.planes_size_bytes :].contiguous().view(torch.int8).to(dtype)
        if game.spec.global_scales:
            numbers = numbers * _as_row(game.spec.global_scales, dtype, packed.device)
        planes = torch.cat([planes, numbers[:, :, None, None].expand(-1, -1, height, width)], dim=1)
    return planes.contiguous(memory_format=memory_format)


@lru_cache(maxsize=16)
def _bits_of_bytes(dtype: torch.dtype, device: torch.device) -> Tensor:
    """`[256, 8]`: the bits of every byte, lowest first."""
    with torch.inference_mode(False):  # a tensor made in inference mode could not serve in training
        all_bytes = torch.arange(256, device=device)[:, None]
        return ((all_bytes >> torch.arange(8, device=device)) & 1).to(dtype)


@lru_cache(maxsize=16)
def _as_row(numbers: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(numbers, dtype=dtype, device=device)
