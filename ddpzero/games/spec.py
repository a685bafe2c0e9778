"""What a game file says about itself besides its kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GameSpec:
    """The sizes of one game with fixed parameters, and the symmetries of its board.

    Letters: A num_actions, P position_size, C num_planes, H x W board_shape, S symmetries.

    position_dtype: the integer type of a position's entries.
    max_plies: no game is longer.
    cell_symmetries: `[S, H * W]` int32; `moved = plane[cell_symmetries[s]]`; the identity first.
    action_symmetries: `[S, A]` int32; `moved_policy = policy[action_symmetries[s]]`, in the same order.

    Raises ValueError when the fields do not fit together.
    """

    num_actions: int
    position_size: int
    position_dtype: np.dtype
    num_planes: int
    board_shape: tuple[int, int]
    max_plies: int
    cell_symmetries: np.ndarray
    action_symmetries: np.ndarray

    def __post_init__(self) -> None:
        height, width = self.board_shape
        for name, size in (
            ("num_actions", self.num_actions),
            ("position_size", self.position_size),
            ("num_planes", self.num_planes),
            ("board_shape", min(height, width)),
            ("max_plies", self.max_plies),
        ):
            if size < 1:
                raise ValueError(f"GameSpec.{name}={getattr(self, name)}: it must be positive.")
        if not np.issubdtype(self.position_dtype, np.integer):
            raise ValueError(
                f"GameSpec.position_dtype={self.position_dtype}: a position is a row of integers."
            )
        _check_symmetries("cell_symmetries", self.cell_symmetries, height * width)
        _check_symmetries("action_symmetries", self.action_symmetries, self.num_actions)
        if len(self.cell_symmetries) != len(self.action_symmetries):
            raise ValueError(
                f"GameSpec has {len(self.cell_symmetries)} cell_symmetries but "
                f"{len(self.action_symmetries)} action_symmetries: row s of both is the same symmetry."
            )


def _check_symmetries(name: str, symmetries: np.ndarray, num_entries: int) -> None:
    if symmetries.ndim != 2 or symmetries.shape[0] < 1 or symmetries.shape[1] != num_entries:
        raise ValueError(
            f"GameSpec.{name} has shape {symmetries.shape}: it must be (symmetries, {num_entries})."
        )
    if symmetries.dtype != np.int32:
        raise ValueError(f"GameSpec.{name} is {symmetries.dtype}: it must be int32.")
    identity = np.arange(num_entries)
    if not np.array_equal(symmetries[0], identity):
        raise ValueError(f"GameSpec.{name}[0] is not the identity: the identity comes first.")
    for index, symmetry in enumerate(symmetries):
        if not np.array_equal(np.sort(symmetry), identity):
            raise ValueError(
                f"GameSpec.{name}[{index}] is not a permutation of 0..{num_entries - 1}."
            )
