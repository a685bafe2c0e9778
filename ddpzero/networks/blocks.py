"""The blocks of towers: features `[B, C, H, W]` in, features of the same shape out; on_board as in layers.py.

No batch statistics: ranks, evaluators and batch sizes agree exactly. In their place the initialization of Fixup (Zhang
et al., ICLR 2019): every block starts as the identity, and the inner convolutions are scaled by the depth.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ddpzero.networks.layers import Convolution, first_channels, mask_off_board, pool
from ddpzero.networks.settings import NetworkSettings

# One in this many channels of a block with global pooling is pooled, as in KataGo's networks of a similar width.
_POOLED_SHARE = 4
# Wavelengths, in cells, of the rotary position embedding: the slowest makes a quarter turn over a large board.
_LONGEST_WAVE, _SHORTEST_WAVE = 4 * 32.0, 4.0


def make_tower(settings: NetworkSettings, board_shape: tuple[int, int]) -> nn.ModuleList:
    """Return the blocks that `settings` describe."""
    channels, num_blocks = settings.channels, settings.blocks
    tower = nn.ModuleList()
    for index in range(num_blocks):
        if settings.name == "attention" and index % 2 == 1:
            tower.append(AttentionBlock(channels, settings.num_heads, board_shape))
        elif settings.name == "nested_bottleneck":
            tower.append(NestedBottleneckBlock(channels, num_blocks, settings.pools(index)))
        else:
            tower.append(ResidualBlock(channels, num_blocks, settings.pools(index)))
    return tower


class ResidualBlock(nn.Module):
    """features + two convolutions of them; one of a tower of `num_blocks`.

    pools: a quarter of the features between the two is pooled over the board and added to all cells (Wu, "Accelerating
    self-play learning in Go", 2019).
    """

    def __init__(self, channels: int, num_blocks: int, pools: bool = False):
        super().__init__()
        self.inner = Convolution(channels, channels, 3, "identity" if pools else "silu")
        self.outer = Convolution(channels, channels, 3, "relu")
        num_pooled = -(-channels // _POOLED_SHARE) if pools else 0
        self.num_pooled = num_pooled
        self.whole = nn.Linear(3 * num_pooled, channels) if pools else None
        with torch.no_grad():
            self.inner.weight.mul_(num_blocks**-0.5)
            self.outer.weight.zero_()
            if self.whole is not None:
                self.whole.weight.zero_()
                self.whole.bias.zero_()

    def forward(self, features: Tensor, on_board: Tensor | None = None) -> Tensor:
        hidden = self.inner(features)
        if self.whole is not None:
            pooled = pool(functional.silu(first_channels(hidden, self.num_pooled)), on_board)
            hidden = functional.silu(hidden + self.whole(pooled)[:, :, None, None])
        return mask_off_board(
            self.outer(mask_off_board(hidden, on_board), residual=features), on_board
        )


class NestedBottleneckBlock(nn.Module):
    """features + two residual blocks in half of the channels, as in KataGo's networks named "nbt".

    pools: the first of the two has global pooling.
    """

    def __init__(self, channels: int, num_blocks: int, pools: bool):
        super().__init__()
        middle = channels // 2
        self.shrink = Convolution(channels, middle, 1, "silu")
        self.first = ResidualBlock(middle, 2 * num_blocks, pools)
        self.second = ResidualBlock(middle, 2 * num_blocks)
        self.grow = Convolution(middle, channels, 1, "relu")
        with torch.no_grad():
            self.grow.weight.zero_()

    def forward(self, features: Tensor, on_board: Tensor | None = None) -> Tensor:
        hidden = mask_off_board(self.shrink(features), on_board)
        hidden = self.second(self.first(hidden, on_board), on_board)
        return mask_off_board(self.grow(hidden, residual=features), on_board)


class AttentionBlock(nn.Module):
    """features + attention of each cell to all cells (Vaswani et al., 2017).

    Rotary embedding (Su et al., 2021) rotates queries and keys, one half by the row and one half by the column, so that
    attention depends on the distance between two cells, on boards of any size.
    """

    _cosines: Tensor  # [H * W, channels of a head]
    _sines: Tensor

    def __init__(self, channels: int, num_heads: int, board_shape: tuple[int, int]):
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.RMSNorm(channels)
        self.queries_keys_values = nn.Linear(channels, 3 * channels, bias=False)
        self.gathered = nn.Linear(channels, channels)
        with torch.no_grad():
            self.gathered.weight.zero_()
            self.gathered.bias.zero_()
        angles = _angles(channels // num_heads, board_shape)
        self.register_buffer("_cosines", angles.cos(), persistent=False)
        self.register_buffer("_sines", angles.sin(), persistent=False)

    def forward(self, features: Tensor, on_board: Tensor | None = None) -> Tensor:
        batch_size, channels, height, width = features.shape
        cells = features.flatten(2).transpose(1, 2)  # [B, cells, C]: a view where channels are last
        together = self.queries_keys_values(self.norm(cells))
        heads = together.view(batch_size, height * width, 3, self.num_heads, -1)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)  # each [B, heads, cells, C / heads]
        is_key = None if on_board is None else on_board.flatten(2)[:, None].bool()
        seen = functional.scaled_dot_product_attention(
            self._turned(queries), self._turned(keys), values, attn_mask=is_key
        )
        gathered = self.gathered(seen.transpose(1, 2).reshape(batch_size, height * width, channels))
        change = gathered.transpose(1, 2).unflatten(2, (height, width))
        return features + mask_off_board(change, on_board)

    def _turned(self, vectors: Tensor) -> Tensor:
        """Rotate each pair of a vector's entries by the angles of its cell."""
        first, second = vectors.chunk(2, dim=-1)
        turned = vectors * self._cosines + torch.cat([-second, first], dim=-1) * self._sines
        return turned.to(vectors.dtype)


def _angles(head_channels: int, board_shape: tuple[int, int]) -> Tensor:
    """`[H * W, head_channels]`: the rotation angle of each entry of a cell's vector; equal for both of a pair."""
    height, width = board_shape
    shares = torch.linspace(0.0, 1.0, head_channels // 4)
    steps = 2 * torch.pi / (_LONGEST_WAVE * (_SHORTEST_WAVE / _LONGEST_WAVE) ** shares)
    rows = torch.arange(height).repeat_interleave(width)[:, None] * steps
    columns = torch.arange(width).repeat(height)[:, None] * steps
    return torch.cat([rows, columns] * 2, dim=1)
