"""Tables of the boards in a training batch: their symmetries, and the frame's entries that belong to each board.

Without a curriculum there is one board, which fills the frame.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ddpzero.algorithms.alphazero.curriculum import Curriculum
from ddpzero.games.core.embedding import BoardEmbedding


class Boards:
    """Tables on the training device. Letters: N boards, B batch, S symmetries, A actions, C planes, O what is owned."""

    def __init__(self, curriculum: Curriculum, device: torch.device):
        embeddings, frame = curriculum.embeddings, curriculum.frame
        height, width = frame.board_shape
        self.has_padded_boards = curriculum.has_padded_boards
        self._shape = frame.board_shape
        on_board = torch.zeros(len(embeddings), height * width)
        owned = torch.zeros(len(embeddings), frame.num_cells if frame.has_ownership else 0)
        for board, embedding in enumerate(embeddings):
            on_board[board, embedding.cells] = 1.0
            owned[board, embedding.owners] = 1.0
        self._on_board = on_board.view(-1, 1, height, width).to(device)
        self._owned = owned.to(device)
        most = [embedding.board.spec.max_score for embedding in embeddings]
        self._max_scores = torch.tensor(most, device=device)
        # Boards have 4 or 8: the rows of the others repeat.
        num_symmetries = np.lcm.reduce([len(p.board.spec.cell_symmetries) for p in embeddings])
        tables = [_symmetries(embedding, int(num_symmetries)) for embedding in embeddings]
        self._cells, self._actions, self._owners = (
            torch.from_numpy(np.stack(table)).long().to(device)
            for table in zip(*tables, strict=True)
        )

    def of_batch(self, batch: Mapping[str, Tensor]) -> Tensor:
        """`[B]`: the index of each sample's board."""
        if self.has_padded_boards:
            return batch["board"].long()
        return torch.zeros(len(batch["observation"]), dtype=torch.long, device=self._cells.device)

    def on_board(self, boards: Tensor) -> Tensor | None:
        """`[B, 1, H, W]`, see networks/layers.py; None where all boards fill the frame."""
        return self._on_board[boards] if self.has_padded_boards else None

    def owned(self, boards: Tensor) -> Tensor:
        """`[B, O]`: ones for what is on the board."""
        return self._owned[boards]

    def possible_scores(self, boards: Tensor, max_score: int) -> Tensor:
        """`[B, 2 * max_score + 1]` bool: scores from -max_score on that the board allows."""
        scores = torch.arange(-max_score, max_score + 1, device=boards.device)
        return scores.abs() <= self._max_scores[boards][:, None]

    def score_target(self, scores: Tensor, boards: Tensor, max_score: int) -> Tensor:
        """`[B, 2 * max_score + 1]`: weights of the two integers around each of `scores` [B]; their mean is it."""
        most = self._max_scores[boards].to(scores.dtype)
        places = torch.minimum(torch.maximum(scores, -most), most) + max_score
        below = places.floor()
        share_above = (places - below)[:, None]
        below = below.long()[:, None]
        target = torch.zeros(len(scores), 2 * max_score + 1, device=scores.device)
        target.scatter_(1, below, 1.0 - share_above)
        return target.scatter_add_(1, (below + 1).clamp_max(2 * max_score), share_above)

    def turn(
        self,
        planes: Tensor,
        targets: Mapping[str, Tensor],
        boards: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Apply a random symmetry to each sample: planes `[B, C, H, W]`, policies `[B, A]`, owners `[B, O]`."""
        batch_size, num_planes = planes.shape[:2]
        num_symmetries = self._cells.shape[1]
        symmetries = torch.randint(
            num_symmetries, (batch_size,), generator=generator, device=planes.device
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


def _symmetries(embedding: BoardEmbedding, num_symmetries: int) -> tuple[np.ndarray, ...]:
    """The board's symmetries of cells, actions and owners as num_symmetries permutations of the frame's."""
    spec, frame = embedding.board.spec, embedding.frame
    rows = np.arange(num_symmetries) % len(spec.cell_symmetries)
    return (
        _in_frame(spec.cell_symmetries[rows], embedding.cells, frame.spec.cell_symmetries.shape[1]),
        _in_frame(spec.action_symmetries[rows], embedding.actions, frame.num_actions),
        _in_frame(spec.owner_symmetries[rows], embedding.owners, frame.num_cells)
        if len(embedding.owners)
        else np.zeros((num_symmetries, 0), np.int64),
    )


def _in_frame(symmetries: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """Extend permutations `[S, n]` of a board's entries to `[S, size]`; the frame's other entries stay in place."""
    padded = np.tile(np.arange(size), (len(symmetries), 1))
    padded[:, places] = places[symmetries]
    return padded
