"""Bit-packed observations become planes here, on the device that uses them. Called by evaluators and updaters."""

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
    """Unpack observations into planes of zeros and ones, on the device of `packed`.

    packed: `[B, game.observation_size_bytes]` uint8, as np.packbits(bitorder="little") over C * H * W writes it.
    Returns `[B, C, H, W]` of `dtype` in `memory_format`.
    """
    num_planes, (height, width) = game.num_planes, game.board_shape
    # One look-up a byte: two to four times faster than shifts and masks, and already in the dtype wanted.
    bits = functional.embedding(packed.int(), _bits_of_bytes(dtype, packed.device))
    planes = bits.view(len(packed), -1)[:, : num_planes * height * width]
    return planes.view(-1, num_planes, height, width).contiguous(memory_format=memory_format)


@lru_cache(maxsize=16)
def _bits_of_bytes(dtype: torch.dtype, device: torch.device) -> Tensor:
    """`[256, 8]`: the bits of every byte, lowest first."""
    with torch.inference_mode(False):  # a tensor made in inference mode could not serve in training
        all_bytes = torch.arange(256, device=device)[:, None]
        return ((all_bytes >> torch.arange(8, device=device)) & 1).to(dtype)
