"""A residual tower without normalisation, with a policy head and a win/draw/loss value head.

No batch statistics: ranks, evaluators and batch sizes agree exactly. In their place the initialisation of Fixup (Zhang
et al., ICLR 2019): every block starts as the identity, and the inner convolutions are scaled by the depth.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from ddpzero.games import Game
from ddpzero.networks.heads import make_auxiliary_heads, make_policy_head, make_value_head
from ddpzero.networks.layers import Convolution
from ddpzero.networks.settings import NetworkSettings, ValueHeadKind


def make_network(
    game: Game, settings: NetworkSettings, auxiliary: Collection[str] = ()
) -> ResidualNetwork:
    """A network for `game`, its parameters drawn from torch's global generator.

    auxiliary: heads besides policy and value, of "score", "ownership" and "next_policy".
    """
    return ResidualNetwork(game, settings.blocks, settings.channels, settings.value_head, auxiliary)


class ResidualNetwork(nn.Module):
    """planes `[B, game.num_inputs, H, W]` -> policy logits `[B, A]`, value logits `[B, 3]`.

    The value is win, draw and loss for the mover.
    """

    def __init__(
        self,
        game: Game,
        num_blocks: int,
        channels: int,
        value_head: ValueHeadKind = "pooled",
        auxiliary: Collection[str] = (),
    ):
        super().__init__()
        self.stem = Convolution(game.num_inputs, channels, 3, "relu")
        self.tower = nn.Sequential(
            *(ResidualBlock(channels, num_blocks) for _ in range(num_blocks))
        )
        self.policy = make_policy_head(game.spec, channels)
        self.value = make_value_head(value_head, game.spec, channels)
        self.auxiliary = make_auxiliary_heads(game, channels, auxiliary)

    def forward(
        self, planes: Tensor, auxiliary: Collection[str] = ()
    ) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, dict[str, Tensor]]:
        """auxiliary: other heads, whose logits are a third result, by their names."""
        features = self.tower(self.stem(planes))
        policy_logits, value_logits = self.policy(features), self.value(features)
        if not auxiliary:
            return policy_logits, value_logits
        others = {name: self.auxiliary[name](features) for name in auxiliary}
        return policy_logits, value_logits, others


class ResidualBlock(nn.Module):
    """features + two convolutions of them; one of a tower of `num_blocks`."""

    def __init__(self, channels: int, num_blocks: int):
        super().__init__()
        self.inner = Convolution(channels, channels, 3, "silu")
        self.outer = Convolution(channels, channels, 3, "relu")
        with torch.no_grad():
            self.inner.weight.mul_(num_blocks**-0.5)
            self.outer.weight.zero_()

    def forward(self, features: Tensor) -> Tensor:
        return self.outer(self.inner(features), residual=features)
