"""Settings of a network: conf/network/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ddpzero.system.errors import require

TowerKind = Literal["resnet", "nested_bottleneck", "attention"]
HeadKind = Literal["pooled", "dense"]

# Far beyond any network that was trained on a board game; building a larger one would take hours.
_MAX_BLOCKS = 1000

# Horizons of the head "short_value".
NUM_SHORT_VALUES = 3


@dataclass(frozen=True)
class NetworkSettings:
    """The kind and the size of a network.

    name: "resnet": blocks of two 3 x 3 convolutions each. "nested_bottleneck": each block is two of those in half of
    the channels. "attention": residual blocks and attention take turns.
    blocks: how many. channels: of every layer of the tower; on a CPU 32 and 64 cost the least per multiplication
    (measured with bfloat16: 48 costs three quarters of 64, 32 a third).
    pooling_interval: the last of every pooling_interval residual blocks has global pooling; 0: none.
    num_heads: of each attention.
    value_head: of the value and the score. "pooled" sees the mean and the maximum over the board, and fits any size of
    it; "dense" sees every cell, and fits this size alone, as does then the policy of a game whose actions are columns.
    """

    name: TowerKind = "resnet"
    blocks: int = 6
    channels: int = 64
    pooling_interval: int = 3
    num_heads: int = 4
    value_head: HeadKind = "pooled"

    def __post_init__(self) -> None:
        kinds = ", ".join(get_args(TowerKind))
        require(
            self.name in get_args(TowerKind),
            f"network.name={self.name} is not known: choose one of {kinds}.",
        )
        for name in ("blocks", "channels", "num_heads"):
            value = getattr(self, name)
            require(value >= 1, f"network.{name}={value} must be at least 1.")
        require(
            self.blocks <= _MAX_BLOCKS,
            f"network.blocks={self.blocks} must be at most {_MAX_BLOCKS}.",
        )
        require(
            self.pooling_interval >= 0,
            f"network.pooling_interval={self.pooling_interval} must be 0 or more.",
        )
        require(
            self.name != "nested_bottleneck" or self.channels >= 2,
            f"network.channels={self.channels} must be at least 2 in network=nested_bottleneck, which halves it.",
        )
        require(
            self.name != "attention" or self.channels % (4 * self.num_heads) == 0,
            f"network.channels={self.channels} must be a multiple of 4 * network.num_heads, {4 * self.num_heads}: each "
            "head tells rows from columns in pairs of channels.",
        )

    def pools(self, block: int) -> bool:
        """Return whether the block of that index has global pooling: the last of every pooling_interval blocks."""
        return self.pooling_interval > 0 and (block + 1) % self.pooling_interval == 0

    @property
    def min_parameters(self) -> int:
        """A lower bound on the number of parameters for any board."""
        return 4 * self.blocks * self.channels**2

    @property
    def size_tag(self) -> str:
        """The size in a model's name: "b3c48", "b18c384nbt", "b4c64h4"."""
        kind = {"resnet": "", "nested_bottleneck": "nbt", "attention": f"h{self.num_heads}"}
        return f"b{self.blocks}c{self.channels}{kind[self.name]}"
