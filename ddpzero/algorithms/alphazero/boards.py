"""Tables of the boards that samples are played on: their symmetries, and which entries of the frame each board has.

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
    """The tables, on the training device. Letters: B batch, S symmetries, A actions, C planes, O owner cells."""

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
        # Boards have different numbers of symmetries, 4 or 8; rows repeat up to a common multiple.
        num_symmetries = np.lcm.reduce([len(p.board.spec.cell_symmetries) for p in embeddings])
        tables = [_symmetries(embedding, int(num_symmetries)) for embedding in embeddings]
        self._cells, self._actions, self._owners = (
            torch.from_numpy(np.stack(table)).long().to(device)
            for table in zip(*tables, strict=True)
        )

    def of_batch(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the index of each sample's board, `[B]`."""
        if self.has_padded_boards:
            return batch["board"].long()
        return torch.zeros(len(batch["observation"]), dtype=torch.long, device=self._cells.device)

    def on_board(self, boards: Tensor) -> Tensor | None:
        """Return `[B, 1, H, W]`: 1 for cells on the board, else 0 (see networks/layers.py).

        None if all boards fill the frame.
        """
        return self._on_board[boards] if self.has_padded_boards else None

    def owned(self, boards: Tensor) -> Tensor:
        """Return `[B, O]`: 1 for owner cells on the board, else 0."""
        return self._owned[boards]

    def possible_scores(self, boards: Tensor, max_score: int) -> Tensor:
        """Return `[B, 2 * max_score + 1]` bool: which scores from -max_score to max_score the board allows."""
        scores = torch.arange(-max_score, max_score + 1, device=boards.device)
        return scores.abs() <= self._max_scores[boards][:, None]

    def score_target(self, scores: Tensor, boards: Tensor, max_score: int) -> Tensor:
        """Return distributions `[B, 2 * max_score + 1]` whose means are `scores` [B], clamped to what the board allows.

        Each has weight on the two integers around the score only.
        """
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
        """Apply one random symmetry of its board to each sample; return the transformed planes and targets.

        planes: `[B, C, H, W]`. targets: by name; "policy" and "next_policy" `[B, A]`, "ownership" `[B, O]`.
        """
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
    """Return the board's symmetries of cells, actions and owner cells as permutations of the frame's entries."""
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
