"""What an update must know of the boards in its batch: their symmetries, and which of the frame's entries are theirs.

Without a curriculum there is one board, which fills the frame.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ddpzero.algorithms.alphazero.curriculum import Curriculum
from ddpzero.games.core.frame import Placement


class Boards:
    """Tables on the training device. Letters: N boards, B batch, S symmetries, A actions, C planes, O what is owned."""

    def __init__(self, curriculum: Curriculum, device: torch.device):
        placements, frame = curriculum.placements, curriculum.frame
        height, width = frame.board_shape
        self.is_framed = curriculum.is_framed
        self._shape = frame.board_shape
        on_board = torch.zeros(len(placements), height * width)
        owned = torch.zeros(len(placements), frame.num_cells if frame.has_ownership else 0)
        for board, placement in enumerate(placements):
            on_board[board, placement.cells] = 1.0
            owned[board, placement.owners] = 1.0
        self._on_board = on_board.view(-1, 1, height, width).to(device)
        self._owned = owned.to(device)
        most = [placement.board.spec.max_score for placement in placements]
        self._max_scores = torch.tensor(most, device=device)
        # Boards have 4 or 8: the rows of the others repeat.
        num_symmetries = np.lcm.reduce([len(p.board.spec.cell_symmetries) for p in placements])
        tables = [_symmetries(placement, int(num_symmetries)) for placement in placements]
        self._cells, self._actions, self._owners = (
            torch.from_numpy(np.stack(table)).long().to(device)
            for table in zip(*tables, strict=True)
        )

    def of_batch(self, batch: Mapping[str, Tensor]) -> Tensor:
        """`[B]`: which board each sample is of."""
        if self.is_framed:
            return batch["board"].long()
        return torch.zeros(len(batch["observation"]), dtype=torch.long, device=self._cells.device)

    def on_board(self, boards: Tensor) -> Tensor | None:
        """`[B, 1, H, W]`, see networks/layers.py; None where all boards fill the frame."""
        return self._on_board[boards] if self.is_framed else None

    def owned(self, boards: Tensor) -> Tensor:
        """`[B, O]`: ones for what is on the board."""
        return self._owned[boards]

    def possible_scores(self, boards: Tensor, max_score: int) -> Tensor:
        """`[B, 2 * max_score + 1]` bool: scores from -max_score on that the board allows."""
        scores = torch.arange(-max_score, max_score + 1, device=boards.device)
        return scores.abs() <= self._max_scores[boards][:, None]

    def score_target(self, scores: Tensor, boards: Tensor, max_score: int) -> Tensor:
        """`[B, 2 * max_score + 1]`: shares of the two numbers of points next to `scores` [B], which are their mean."""
        most = self._max_scores[boards].to(scores.dtype)
        places = torch.minimum(torch.maximum(scores, -most), most) + max_score
        below = places.floor()
        share_above = (places - below)[:, None]
        below = below.long()[:, None]
        target = torch.zeros(len(scores), 2 * max_score + 1, device=scores.device)
        target.scatter_(1, below, 1.0 - share_above)
        return target.scatter_add_(1, (below + 1).clamp_max(2 * max_score), share_above)

    def turn(
        self, planes: Tensor, targets: Mapping[str, Tensor], boards: Tensor, draws: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Turn each sample by its own random symmetry: planes `[B, C, H, W]`, policies `[B, A]`, owners `[B, O]`."""
        batch_size, num_planes = planes.shape[:2]
        num_symmetries = self._cells.shape[1]
        symmetries = torch.randint(
            num_symmetries, (batch_size,), generator=draws, device=planes.device
        )
        cells = self._cells[boards, symmetries][:, None, :].expand(-1, num_planes, -1)
        turned = planes.reshape(batch_size, num_planes, -1).gather(2, cells)
        moved = dict(targets)
        for name, table in (
            ("policy", self._actions),
            ("next_policy", self._actions),
            ("ownership", self._owners),
        ):
            if name in targets:
                moved[name] = targets[name].gather(1, table[boards, symmetries])
        return turned.view(batch_size, num_planes, *self._shape), moved


def _symmetries(placement: Placement, num_symmetries: int) -> tuple[np.ndarray, ...]:
    """The board's symmetries of cells, actions and owners as permutations of the frame's, repeated to so many."""
    spec, frame = placement.board.spec, placement.frame
    rows = np.arange(num_symmetries) % len(spec.cell_symmetries)
    return (
        _in_frame(spec.cell_symmetries[rows], placement.cells, frame.spec.cell_symmetries.shape[1]),
        _in_frame(spec.action_symmetries[rows], placement.actions, frame.num_actions),
        _in_frame(spec.owner_symmetries[rows], placement.owners, frame.num_cells)
        if len(placement.owners)
        else np.zeros((num_symmetries, 0), np.int64),
    )


def _in_frame(symmetries: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """Permutations `[S, n]` of a board's entries, as permutations `[S, size]` that leave the frame's others alone."""
    framed = np.tile(np.arange(size), (len(symmetries), 1))
    framed[:, places] = places[symmetries]
    return framed
