"""A network averaged over the symmetries of its game: S times the work for a steadier evaluation.

For players; the search's cost is the network's, and no one waits for a move of a match as long as for a training.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ddpzero.games import Game
from ddpzero.networks.memory_format import fast_memory_format

# Views that a CPU evaluates together: more are not faster, and their activations take memory.
_CPU_ROWS = 64


class SymmetryAverage(nn.Module):
    """Evaluates every symmetric view of a position with `network`, and averages the answers mapped back.

    Policy logits: the mean of the views' log probabilities. Value and score logits: the log of the mean probabilities.
    Letters: B batch, C planes, A actions, S symmetries.
    """

    _cells: Tensor  # [S * H * W], the cells of all views, one view after another
    _actions: Tensor  # [S * A], where each action is among the actions of all views

    def __init__(self, network: nn.Module, game: Game):
        super().__init__()
        self.network = network
        self._num_views = len(game.spec.cell_symmetries)
        cells = torch.from_numpy(game.spec.cell_symmetries).long()
        # The index of each action among the actions of every view.
        actions = torch.from_numpy(np.argsort(game.spec.action_symmetries, axis=1)).long()
        actions += game.num_actions * torch.arange(self._num_views)[:, None]
        # Non-persistent buffers: they move to the device with the network but are not part of its weights.
        self.register_buffer("_cells", cells.flatten(), persistent=False)
        self.register_buffer("_actions", actions.flatten(), persistent=False)

    def forward(
        self, planes: Tensor, auxiliary: Collection[str] = ()
    ) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, dict[str, Tensor]]:
        """planes [B, C, H, W] -> policy logits [B, A], value logits [B, 3]; auxiliary: none, or the score's."""
        assert set(auxiliary) <= {"score"}, "other heads turn with the board"
        batch_size, num_planes, height, width = planes.shape
        # Channels last: where that is the layout of planes, only one operator copies.
        cells = planes.permute(0, 2, 3, 1).flatten(1, 2)
        views = cells.index_select(1, self._cells).view(-1, height, width, num_planes)
        views = views.permute(0, 3, 1, 2).contiguous(
            memory_format=fast_memory_format(planes.device)
        )
        policy_logits, value_logits, *rest = self._evaluated(views, auxiliary)
        log_policies = functional.log_softmax(policy_logits.float(), dim=1)
        turned_back = log_policies.view(batch_size, -1).index_select(1, self._actions)
        policy = turned_back.view(batch_size, self._num_views, -1).mean(1)
        value = self._mean(value_logits, batch_size)
        if not rest:
            return policy, value
        return policy, value, {name: self._mean(rest[0][name], batch_size) for name in auxiliary}

    def _evaluated(self, views: Tensor, auxiliary: Collection[str]) -> Any:
        """Return what the network says of all views."""
        if views.device.type != "cpu" or len(views) <= _CPU_ROWS:
            return self.network(views, auxiliary)
        parts = [self.network(some, auxiliary) for some in views.split(_CPU_ROWS)]
        policy, value, *rest = zip(*parts, strict=True)
        others = [
            {name: torch.cat([part[name] for part in named]) for name in named[0]} for named in rest
        ]
        return torch.cat(policy), torch.cat(value), *others

    def _mean(self, logits: Tensor, batch_size: int) -> Tensor:
        """Return the log of the views' mean probabilities."""
        probabilities = torch.softmax(logits.float(), dim=1)
        return probabilities.view(batch_size, self._num_views, -1).mean(1).log()
