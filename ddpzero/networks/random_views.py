"""Shows a network a random symmetric view of each position, and maps its answer back.

What the network says wrongly of one view it says of others otherwise: over a search the errors cancel.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ddpzero.games import Game
from ddpzero.networks.memory_format import fast_memory_format

_LARGEST_WEIGHT = 1000  # sums over the largest boards stay exact in float32


class RandomViews:
    """Chooses and applies symmetries. The choice depends on the position alone, so that games repeat with their seed.

    Letters: B batch, C planes, A actions, S symmetries.
    """

    def __init__(self, game: Game, device: torch.device):
        height, width = game.board_shape
        self._cells = torch.from_numpy(game.spec.cell_symmetries).long().to(device)  # [S, H * W]
        back = np.argsort(game.spec.action_symmetries, axis=1)
        self._actions = torch.from_numpy(back).long().to(device)  # [S, A]
        weights = np.random.default_rng(0).integers(
            1, _LARGEST_WEIGHT, game.num_inputs * height * width
        )
        self._weights = torch.from_numpy(weights).float().to(device)

    def choose(self, planes: Tensor) -> Tensor:
        """planes `[B, C, H, W]` -> the index `[B]` of the symmetry chosen for each position."""
        return (planes.flatten(1).float() @ self._weights).long() % len(self._cells)

    def turn(self, planes: Tensor, symmetries: Tensor) -> Tensor:
        """planes `[B, C, H, W]` in their views."""
        cells = self._cells[symmetries][:, None, :].expand(-1, planes.shape[1], -1)
        turned = planes.flatten(2).gather(2, cells).view(planes.shape)
        return turned.contiguous(memory_format=fast_memory_format(turned.device))

    def turn_back(self, policy_logits: Tensor, symmetries: Tensor) -> Tensor:
        """Map the views' policy logits `[B, A]` back to the positions."""
        return policy_logits.gather(1, self._actions[symmetries])
