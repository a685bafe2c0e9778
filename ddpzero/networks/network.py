"""A tower of blocks with a policy head, a win/draw/loss value head, and auxiliary heads."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor, nn

from ddpzero.games import Game
from ddpzero.networks.blocks import make_tower
from ddpzero.networks.heads import make_auxiliary_heads, make_policy_head, make_value_head
from ddpzero.networks.layers import Convolution, mask_off_board
from ddpzero.networks.settings import NetworkSettings


def make_network(
    game: Game, settings: NetworkSettings, auxiliary: Collection[str] = ()
) -> PolicyValueNetwork:
    """Make a network for `game`; torch's global generator initializes its parameters.

    auxiliary: heads besides policy and value, of "score", "ownership", "next_policy", "soft_policy" and "short_value".
    """
    return PolicyValueNetwork(game, settings, auxiliary)


class PolicyValueNetwork(nn.Module):
    """planes `[B, game.num_inputs, H, W]` -> policy logits `[B, A]`, value logits `[B, 3]`.

    The value is win, draw and loss for the mover.
    """

    def __init__(self, game: Game, settings: NetworkSettings, auxiliary: Collection[str] = ()):
        super().__init__()
        channels = settings.channels
        self.stem = Convolution(game.num_inputs, channels, 3, "relu")
        self.tower = make_tower(settings, game.board_shape)
        self.policy = make_policy_head(game.spec, channels, settings.value_head)
        self.value = make_value_head(game.spec, channels, settings.value_head)
        self.auxiliary = make_auxiliary_heads(game, channels, settings.value_head, auxiliary)

    def forward(
        self, planes: Tensor, auxiliary: Collection[str] = (), on_board: Tensor | None = None
    ) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, dict[str, Tensor]]:
        """auxiliary: other heads, whose logits are a third result, by their names.

        on_board: `[B, 1, H, W]`, see layers.py; the outputs of a position are the same alone and in a larger frame.
        """
        features = mask_off_board(self.stem(mask_off_board(planes, on_board)), on_board)
        for block in self.tower:
            features = block(features, on_board)
        policy_logits = self.policy(features, on_board)
        value_logits = self.value(features, on_board)
        if not auxiliary:
            return policy_logits, value_logits
        others = {name: self.auxiliary[name](features, on_board) for name in auxiliary}
        return policy_logits, value_logits, others
