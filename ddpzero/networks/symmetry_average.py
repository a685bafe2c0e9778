"""A network averaged over the symmetries of its game: S times the work for a steadier evaluation.

For players; the search's cost is the network's, and no one waits for a move of a match as long as for a training.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ddpzero.games import Game
from ddpzero.networks.memory_format import fast_memory_format


class SymmetryAverage(nn.Module):
    """Evaluates every symmetric view of a position with `network`, and averages the answers mapped back.

    Policy logits: the mean of the views' log probabilities. Value and score logits: the log of the mean probabilities.
    Letters: B batch, C planes, A actions, S symmetries.
    """

    _cells: Tensor  # [S, H * W]
    _actions: Tensor  # [S, A]

    def __init__(self, network: nn.Module, game: Game):
        super().__init__()
        self.network = network
        cells = torch.from_numpy(game.spec.cell_symmetries).long()
        # The index of each action among the actions of every view.
        actions = torch.from_numpy(np.argsort(game.spec.action_symmetries, axis=1)).long()
        # Non-persistent buffers: they move to the device with the network but are not part of its weights.
        self.register_buffer("_cells", cells, persistent=False)
        self.register_buffer("_actions", actions, persistent=False)

    def forward(
        self, planes: Tensor, auxiliary: Collection[str] = ()
    ) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, dict[str, Tensor]]:
        """planes [B, C, H, W] -> policy logits [B, A], value logits [B, 3]; auxiliary: none, or the score's."""
        assert set(auxiliary) <= {"score"}, "other heads turn with the board"
        batch_size = len(planes)
        cells = planes.flatten(2)
        views = torch.cat([cells[:, :, view] for view in self._cells])
        views = views.view(-1, *planes.shape[1:]).contiguous(
            memory_format=fast_memory_format(views.device)
        )
        policy_logits, value_logits, *rest = self.network(views, auxiliary)
        log_policy = functional.log_softmax(policy_logits.float(), dim=1)
        log_policies = log_policy.view(len(self._cells), batch_size, -1)
        turned_back = [log_policies[view][:, actions] for view, actions in enumerate(self._actions)]
        policy, value = torch.stack(turned_back).mean(0), self._mean(value_logits, batch_size)
        if not rest:
            return policy, value
        return policy, value, {name: self._mean(rest[0][name], batch_size) for name in auxiliary}

    def _mean(self, logits: Tensor, batch_size: int) -> Tensor:
        """Return the log of the views' mean probabilities."""
        probabilities = torch.softmax(logits.float(), dim=1)
        return probabilities.view(len(self._cells), batch_size, -1).mean(0).log()
