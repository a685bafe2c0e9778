"""Heads on top of a tower. Letters: B batch, C channels, H x W board, A actions, N cells that can be owned.

Every head but the dense ones is free of the board's size: its weights fit any board of the same game, and on_board (see
layers.py) says which cells of a frame are on the board. Logits of actions beside the board are too low to matter.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ddpzero.games import Game
from ddpzero.games.core.spec import GameSpec
from ddpzero.networks.layers import MASKED_LOGIT, Convolution, mask_off_board, pool
from ddpzero.networks.settings import NUM_SHORT_VALUES, HeadKind

_POLICY_CHANNELS = 16
_SUMMARY_CHANNELS = 32
_POOLED_SIZE = 64
_DENSE_SIZE = 128
_OWNER_CHANNELS = 16
_SCORE_HIDDEN = 64


def make_policy_head(spec: GameSpec, channels: int, kind: HeadKind = "pooled") -> nn.Module:
    """Make the policy head that fits the meaning of the game's actions: features `[B, C, H, W]` -> logits `[B, A]`."""
    if spec.action_cells is not None:
        return CellPolicy(channels, spec.action_cells, math.prod(spec.board_shape))
    if spec.actions_are_columns:
        return ColumnPolicy(channels, spec.board_shape[0] if kind == "dense" else 1)
    return DensePolicy(channels, spec.board_shape, spec.num_actions)


class CellPolicy(nn.Module):
    """Logits of actions that belong to cells, from the cells' features; of other actions (a pass), from the mean."""

    def __init__(self, channels: int, action_cells: np.ndarray, num_cells: int):
        """action_cells: `[A]`, see GameSpec."""
        super().__init__()
        self.features = Convolution(channels, _POLICY_CHANNELS, 1, "silu")
        # No bias: a bias shared by all cells changes no probability, and its gradient would be rounding noise.
        self.cells = nn.Conv2d(_POLICY_CHANNELS, 1, 1, bias=False)
        is_other = action_cells < 0
        num_others = int(is_other.sum())
        self.others = nn.Linear(3 * _POLICY_CHANNELS, num_others) if num_others else None
        # The index of each action's logit among those of all cells, then the others. None: already in order.
        places = np.where(is_other, num_cells + np.cumsum(is_other) - 1, action_cells)
        is_in_place = np.array_equal(places, np.arange(num_cells + num_others))
        indices = None if is_in_place else torch.from_numpy(places).long()
        self.register_buffer("_places", indices, persistent=False)

    def forward(self, features: Tensor, on_board: Tensor | None = None) -> Tensor:
        features = self.features(features)
        logits = self.cells(features).flatten(1)
        if on_board is not None:
            logits = logits.masked_fill(on_board.flatten(1) == 0, MASKED_LOGIT)
        if self.others is not None:
            others = self.others(pool(features, on_board))
            logits = torch.cat([logits, others.to(logits.dtype)], dim=1)
        return logits if self._places is None else logits[:, self._places]


class ColumnPolicy(nn.Module):
    """A logit for each column from its features, with the same weights for all columns.

    height: rows with separate weights: the board's height, or 1 to fit boards of any height.
    """

    def __init__(self, channels: int, height: int):
        super().__init__()
        self.features = Convolution(channels, _POLICY_CHANNELS, 1, "silu")
        # No bias: a bias shared by all columns changes no probability, and its gradient would be rounding noise.
        self.columns = nn.Conv2d(_POLICY_CHANNELS, 1, (height, 1), bias=False)

    def forward(self, features: Tensor, on_board: Tensor | None = None) -> Tensor:
        logits = mask_off_board(self.columns(self.features(features)), on_board).sum(2).flatten(1)
        if on_board is not None:
            logits = logits.masked_fill(on_board.amax(2).flatten(1) == 0, MASKED_LOGIT)
        return logits


class DensePolicy(nn.Module):
    """Logits for actions of any meaning; the weights are bound to the board's size."""

    def __init__(self, channels: int, board_shape: tuple[int, int], num_actions: int):
        super().__init__()
        self.features = Convolution(channels, _POLICY_CHANNELS, 1, "silu")
        self.actions = nn.Linear(_POLICY_CHANNELS * math.prod(board_shape), num_actions)

    def forward(self, features: Tensor, on_board: Tensor | None = None) -> Tensor:
        assert on_board is None, "a dense head knows one board"
        return self.actions(self.features(features).flatten(1))


def make_value_head(spec: GameSpec, channels: int, kind: HeadKind = "pooled") -> nn.Module:
    """Make a value head: features `[B, C, H, W]` -> logits `[B, 3]` of win, draw and loss for the mover."""
    return Outcome(make_summary(channels, spec.board_shape, kind))


def make_auxiliary_heads(
    game: Game, channels: int, kind: HeadKind, names: Collection[str]
) -> nn.ModuleDict:
    """Make auxiliary heads by their names: logits of the score, of owners, of policies, of values soon."""
    heads = nn.ModuleDict()
    for name in names:
        if name == "score":
            summary = make_summary(channels, game.spec.board_shape, kind)
            heads[name] = Score(summary, game.spec.max_score)
        elif name == "ownership":
            assert game.owner_cells is not None
            heads[name] = Ownership(channels, game.owner_cells)
        elif name == "short_value":
            heads[name] = ShortValues(make_summary(channels, game.spec.board_shape, kind))
        else:
            assert name in ("next_policy", "soft_policy"), name
            heads[name] = make_policy_head(game.spec, channels, kind)
    return heads


class Ownership(nn.Module):
    """For each cell that can be owned, the logit that the mover owns it at the end, from the cell's features."""

    def __init__(self, channels: int, owner_cells: np.ndarray):
        """owner_cells: `[N]`, see Game."""
        super().__init__()
        self.features = Convolution(channels, _OWNER_CHANNELS, 1, "silu")
        self.owners = nn.Conv2d(_OWNER_CHANNELS, 1, 1)
        self.register_buffer("_cells", torch.from_numpy(owner_cells).long(), persistent=False)

    def forward(self, features: Tensor, on_board: Tensor | None = None) -> Tensor:
        return self.owners(self.features(features)).flatten(1)[:, self._cells]


class Outcome(nn.Module):
    """Logits `[B, 3]` of win, draw and loss for the mover, from a summary of the board."""

    def __init__(self, summary: PooledSummary | DenseSummary):
        super().__init__()
        self.summary = summary
        self.outcome = nn.Linear(summary.size, 3)

    def forward(self, features: Tensor, on_board: Tensor | None = None) -> Tensor:
        return self.outcome(self.summary(features, on_board))


class ShortValues(nn.Module):
    """Logits `[B, 3, 3]`: for each of three horizons, of win, draw and loss as the search will see them by then."""

    def __init__(self, summary: PooledSummary | DenseSummary):
        super().__init__()
        self.summary = summary
        self.outcomes = nn.Linear(summary.size, 3 * NUM_SHORT_VALUES)

    def forward(self, features: Tensor, on_board: Tensor | None = None) -> Tensor:
        return self.outcomes(self.summary(features, on_board)).unflatten(1, (NUM_SHORT_VALUES, 3))


class Score(nn.Module):
    """Logits `[B, 2 * max_score + 1]` of the mover's score margin at the end, from -max_score on.

    The logit of a score margin is a dot product with an embedding computed from the margin, so boards of any size share
    the weights.
    """

    def __init__(self, summary: PooledSummary | DenseSummary, max_score: int):
        super().__init__()
        self.summary = summary
        points = torch.arange(-max_score, max_score + 1)
        # Scales from single points near 0 to tens far from it, and the parity, which area scoring often fixes.
        numbers = [torch.tanh(points / scale) for scale in (1.0, 3.0, 10.0, 30.0, 100.0)]
        numbers.append((points % 2).float())
        self.register_buffer("_numbers", torch.stack(numbers, dim=1), persistent=False)
        self.points = nn.Sequential(
            nn.Linear(len(numbers), _SCORE_HIDDEN),
            nn.SiLU(),
            nn.Linear(_SCORE_HIDDEN, summary.size),
        )
        self._scale = summary.size**-0.5

    def forward(self, features: Tensor, on_board: Tensor | None = None) -> Tensor:
        summary = self.summary(features, on_board)
        return summary @ self.points(self._numbers).t() * self._scale


def make_summary(
    channels: int, board_shape: tuple[int, int], kind: HeadKind
) -> PooledSummary | DenseSummary:
    """Make the first layers of a head that evaluates the whole board."""
    return DenseSummary(channels, board_shape) if kind == "dense" else PooledSummary(channels)


class PooledSummary(nn.Module):
    """`[B, C, H, W]` -> `[B, size]`, from the features of the whole board, see `pool`."""

    def __init__(self, channels: int):
        super().__init__()
        self.size = _POOLED_SIZE
        self.features = Convolution(channels, _SUMMARY_CHANNELS, 1, "silu")
        self.hidden = nn.Linear(3 * _SUMMARY_CHANNELS, self.size)

    def forward(self, features: Tensor, on_board: Tensor | None = None) -> Tensor:
        return functional.silu(self.hidden(pool(self.features(features), on_board)))


class DenseSummary(nn.Module):
    """`[B, C, H, W]` -> `[B, size]`, from the features of every cell, with separate weights for each cell.

    Where the row or column of a stone matters, as with the parity of threats in Connect Four, it learns much more from
    the same games than PooledSummary; the policy improves as well, because it has the tower for itself.
    """

    def __init__(self, channels: int, board_shape: tuple[int, int]):
        super().__init__()
        self.size = _DENSE_SIZE
        self.features = Convolution(channels, _SUMMARY_CHANNELS, 1, "silu")
        self.hidden = nn.Linear(_SUMMARY_CHANNELS * math.prod(board_shape), self.size)

    def forward(self, features: Tensor, on_board: Tensor | None = None) -> Tensor:
        assert on_board is None, "a dense head knows one board"
        return functional.silu(self.hidden(self.features(features).flatten(1)))
