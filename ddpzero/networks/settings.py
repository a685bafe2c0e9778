"""Settings of a network: conf/network/*.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from ddpzero.system.errors import require

TowerKind = Literal["resnet", "nested_bottleneck", "attention"]
HeadKind = Literal["pooled", "dense"]

# Far beyond any network that was trained on a board game; building a larger one would take hours.
_MAX_BLOCKS = 1000
# A growth happens after one of these.
_POINTS = ("after_step", "after_minutes", "after_fraction")


@dataclass(frozen=True)
class GrowthSettings:
    """A point of a run at which the network grows, and its size from then on.

    after_step, after_minutes, after_fraction: exactly one of them: updates, minutes of training, or the share (0..1) of
    the run until the first limit of `learner`. The network grows at the next end of an epoch.
    blocks, channels: None: as before.
    """

    blocks: int | None = None
    channels: int | None = None
    after_step: int | None = None
    after_minutes: float | None = None
    after_fraction: float | None = None

    def is_due(self, learner_step: int, minutes: float, fraction: float) -> bool:
        """Return whether a run has come this far. fraction: the share of the run that is done."""
        if self.after_step is not None:
            return learner_step >= self.after_step
        if self.after_minutes is not None:
            return minutes >= self.after_minutes
        assert self.after_fraction is not None
        return fraction >= self.after_fraction


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
    growth: larger sizes during the run, in their order; blocks and channels are those at its start.
    """

    name: TowerKind = "resnet"
    blocks: int = 6
    channels: int = 64
    pooling_interval: int = 3
    num_heads: int = 4
    value_head: HeadKind = "pooled"
    growth: tuple[GrowthSettings, ...] = ()

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
        before, earlier = replace(self, growth=()) if self.growth else self, None
        for index, growth in enumerate(self.growth):
            path = f"network.growth[{index}]"
            _check_point(path, growth, earlier)
            before, earlier = _grown(before, growth, path), growth

    def pools(self, block: int) -> bool:
        """Return whether the block of that index has global pooling: the last of every pooling_interval blocks."""
        return self.pooling_interval > 0 and (block + 1) % self.pooling_interval == 0

    @property
    def min_parameters(self) -> int:
        """A lower bound on the number of parameters for any board."""
        return 4 * self.blocks * self.channels**2

    @property
    def sizes(self) -> list[NetworkSettings]:
        """The network at the start of a run, and after each growth."""
        sizes = [replace(self, growth=())]
        for index, growth in enumerate(self.growth):
            sizes.append(_grown(sizes[-1], growth, f"network.growth[{index}]"))
        return sizes

    def size_of(self, weights: Mapping[str, Any]) -> NetworkSettings:
        """Return the one of `sizes` that a network with these weights has; the first one if none has it."""
        shape = tuple(getattr(weights.get("stem.bias"), "shape", ()))
        blocks = {name.split(".")[1] for name in weights if str(name).startswith("tower.")}
        sizes = self.sizes
        has_size = [(len(blocks), shape) == (size.blocks, (size.channels,)) for size in sizes]
        return sizes[has_size.index(True)] if any(has_size) else sizes[0]

    def check_growth(self, larger: NetworkSettings, path: str = "network") -> None:
        """Raise UserError unless a network of this size can grow to the larger one. path: dotted, of the latter."""
        for key in ("name", "pooling_interval", "num_heads", "value_head"):
            ours, theirs = getattr(self, key), getattr(larger, key)
            require(
                ours == theirs or (key == "num_heads" and self.name != "attention"),
                f"network.{key}={theirs} cannot follow {ours}: a network grows only in blocks and channels.",
            )
        for key in ("blocks", "channels"):
            ours, theirs = getattr(self, key), getattr(larger, key)
            require(
                theirs >= ours,
                f"{path}.{key}={theirs} is below {ours}: a network can only grow.",
            )
        require(
            (larger.blocks, larger.channels) != (self.blocks, self.channels),
            f"{path}: blocks={self.blocks} and channels={self.channels} are the size before: make one of them larger.",
        )
        require(
            self.name != "attention" or larger.channels == self.channels,
            f"{path}.channels={larger.channels} is above {self.channels}: network=attention can grow only in blocks, "
            "since its normalization and its rotary embedding depend on the number of channels.",
        )
        require(
            self.name != "attention" or self.blocks % 2 == 1 or larger.blocks % 2 == 0,
            f"{path}.blocks={larger.blocks} is odd: a network=attention of {self.blocks} blocks, whose last one is "
            "attention, grows by an even number of blocks.",
        )

    @property
    def size_text(self) -> str:
        """Blocks and channels: "3x48"."""
        return f"{self.blocks}x{self.channels}"

    @property
    def size_tag(self) -> str:
        """The size in a model's name: "b3c48", "b18c384nbt", "b4c64h4"."""
        kind = {"resnet": "", "nested_bottleneck": "nbt", "attention": f"h{self.num_heads}"}
        return f"b{self.blocks}c{self.channels}{kind[self.name]}"


def _check_point(path: str, growth: GrowthSettings, earlier: GrowthSettings | None) -> None:
    """Check when a growth happens. earlier: the growth before it."""
    points = {name: getattr(growth, name) for name in _POINTS if getattr(growth, name) is not None}
    require(
        len(points) == 1,
        f"{path} must have exactly one of {', '.join(_POINTS)}; it has {', '.join(points) or 'none'}.",
    )
    ((name, value),) = points.items()
    least = 0 if earlier is None else getattr(earlier, name) or 0
    require(value > least, f"{path}.{name}={value} must be above {least}.")
    require(
        name != "after_fraction" or value < 1,
        f"{path}.after_fraction={value} must be below 1, the end of the run.",
    )


def _grown(before: NetworkSettings, growth: GrowthSettings, path: str) -> NetworkSettings:
    """Return the size after a growth. Raises UserError if a network cannot grow to it."""
    for key in ("blocks", "channels"):
        value = getattr(growth, key)
        require(value is None or value >= 1, f"{path}.{key}={value} must be at least 1.")
    blocks, channels = growth.blocks or before.blocks, growth.channels or before.channels
    require(blocks <= _MAX_BLOCKS, f"{path}.blocks={blocks} must be at most {_MAX_BLOCKS}.")
    larger = replace(before, blocks=blocks, channels=channels)
    before.check_growth(larger, path)
    return larger
