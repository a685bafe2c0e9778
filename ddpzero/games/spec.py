"""What a game file says about itself besides its kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GameSpec:
    """The sizes of one game with fixed parameters, and the symmetries of its board.

    Letters: A num_actions, P position_size, C num_planes, H x W board_shape, S symmetries.

    cell_symmetries: `[S, H * W]` int32; `moved = plane[cell_symmetries[s]]`; the identity first.
    action_symmetries: `[S, A]` int32; `moved_policy = policy[action_symmetries[s]]`, in the same order.
    max_plies: no game is longer.
    """

    num_actions: int
    position_size: int
    position_dtype: np.dtype
    num_planes: int
    board_shape: tuple[int, int]
    max_plies: int
    cell_symmetries: np.ndarray
    action_symmetries: np.ndarray
