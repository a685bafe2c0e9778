"""Settings of a network: conf/network/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ddpzero.settings import require

ValueHeadKind = Literal["pooled", "dense"]


@dataclass(frozen=True)
class NetworkSettings:
    """The kind and the size of a network.

    blocks: residual blocks of two 3 x 3 convolutions each. channels: of every layer of the tower; on a CPU 32 and 64
    cost the least per multiplication (measured with bfloat16: 48 costs three quarters of 64, 32 a third).
    value_head: "pooled" sees the mean and the maximum over the board, and fits any size of it; "dense" sees every cell,
    and fits this size alone.
    """

    name: Literal["resnet"] = "resnet"
    blocks: int = 6
    channels: int = 64
    value_head: ValueHeadKind = "pooled"

    def __post_init__(self) -> None:
        require(
            self.name == "resnet",
            f"network.name={self.name} is not known: choose resnet.",
        )
        require(self.blocks >= 1, f"network.blocks={self.blocks} must be at least 1.")
        require(self.channels >= 1, f"network.channels={self.channels} must be at least 1.")

    @property
    def size_tag(self) -> str:
        """The size in a model's name: "b3c48"."""
        return f"b{self.blocks}c{self.channels}"
