"""Embeds smaller boards of a game in a larger one, the frame, so that one network can learn several board sizes.

A board occupies the first rows and columns of its frame; the rest is padding. All data of a cell moves with the cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ddpzero.games.core.game import Game


@dataclass(frozen=True)
class BoardEmbedding:
    """Maps a board's entries to those of its frame. Letters: H x W board shape, A num_actions, B entries of ownership.

    cells: `[H * W]`. actions: `[A]`.
    """

    board: Game
    frame: Game
    cells: np.ndarray
    actions: np.ndarray

    @cached_property
    def owners(self) -> np.ndarray:
        """Indices `[B]`, empty for games without ownership.

        Compiles the game's kernels: do not use it to check a config.
        """
        here, there = self.board.owner_cells, self.frame.owner_cells
        if here is None or there is None:
            return np.empty(0, np.int64)
        owner_of_cell = _inverse(there, self.frame.spec.cell_symmetries.shape[1])
        owners = owner_of_cell[self.cells[here]]
        if (owners < 0).any():
            raise ValueError(
                f"{self.board.name} has owners of cells that nobody can own on a larger board."
            )
        return owners

    @property
    def fills_frame(self) -> bool:
        return self.board.board_shape == self.frame.board_shape

    def observations(self, packed: np.ndarray) -> np.ndarray:
        """Convert packed observations `[n, bytes]` of the board to those of the frame."""
        board, frame = self.board, self.frame
        num_planes, num_cells = board.num_planes, len(self.cells)
        bits = np.unpackbits(packed[:, : board.planes_size_bytes], axis=1, bitorder="little")
        planes = bits[:, : num_planes * num_cells].reshape(-1, num_planes, num_cells)
        padded = _spread(planes, self.cells, frame.board_shape[0] * frame.board_shape[1])
        padded_bits = np.packbits(padded.reshape(len(packed), -1), axis=1, bitorder="little")
        return np.hstack([padded_bits, packed[:, board.planes_size_bytes :]])

    def policies(self, policies: np.ndarray) -> np.ndarray:
        """Convert `[n, A]` of the board to those of the frame, with 0 for actions outside the board."""
        return _spread(policies, self.actions, self.frame.num_actions)

    def ownership(self, owners: np.ndarray) -> np.ndarray:
        """Convert `[n, B]` of the board to that of the frame, with 0 outside the board."""
        return _spread(owners, self.owners, self.frame.num_cells)


def embed_board(board: Game, frame: Game) -> BoardEmbedding:
    """Return the embedding of `board` in `frame`. Raises ValueError unless both are the same game and the board fits.

    With equal parameters the actions may mean anything; otherwise they must be cells or columns.
    """
    there, here = frame.spec, board.spec
    where = f"a board of {board.board_shape} in a frame of {frame.board_shape}"
    if board.module is not frame.module or (there.num_planes, there.num_globals) != (
        here.num_planes,
        here.num_globals,
    ):
        raise ValueError(
            f"{where}: their observations differ, {here.num_planes} planes and {here.num_globals} numbers in "
            f"{board.name}, {there.num_planes} and {there.num_globals} in {frame.name}: they must be the same game."
        )
    if here.global_scales != there.global_scales:
        raise ValueError(
            f"{where}: GameSpec.global_scales of {board.name} depend on the board's size: give them fixed values."
        )
    (height, width), (frame_height, frame_width) = board.board_shape, frame.board_shape
    if height > frame_height or width > frame_width:
        raise ValueError(f"{where} does not fit: the frame must be as large as the largest board.")
    rows, columns = np.divmod(np.arange(height * width), width)
    cells = rows * frame_width + columns
    return BoardEmbedding(board, frame, cells, _embedded_actions(board, frame, cells))


def _embedded_actions(board: Game, frame: Game, cells: np.ndarray) -> np.ndarray:
    if board.parameters == frame.parameters:
        # The board fills its frame, so every action keeps its index.
        return np.arange(board.num_actions)
    there, here = frame.spec.action_cells, board.spec.action_cells
    if here is None or there is None:
        if board.spec.actions_are_columns and frame.spec.actions_are_columns:
            return np.arange(board.num_actions)
        raise ValueError(
            f"the actions of {board.name} are neither cells (GameSpec.action_cells) nor columns of its board, so one "
            "network cannot learn several boards of it: use curriculum=none, or name in every stage only the board of "
            "game."
        )
    if (here < 0).sum() != (there < 0).sum():
        raise ValueError(
            f"{board.name} has {(here < 0).sum()} actions that belong to no cell on the small board and "
            f"{(there < 0).sum()} on the large one: boards of several sizes need the same ones."
        )
    action_of_cell = _inverse(there, frame.spec.cell_symmetries.shape[1])
    actions = np.empty(len(here), np.int64)
    actions[here >= 0] = action_of_cell[cells[here[here >= 0]]]
    actions[here < 0] = np.flatnonzero(there < 0)
    if (actions < 0).any():
        raise ValueError(f"{board.name} has actions on cells where a larger board has none.")
    return actions


def _inverse(cells: np.ndarray, num_cells: int) -> np.ndarray:
    """Return `[num_cells]`: the index of each cell in `cells`, or -1. Ignores negative entries, which are not cells."""
    entries = np.full(num_cells, -1, np.int64)
    is_cell = cells >= 0
    entries[cells[is_cell]] = np.flatnonzero(is_cell)
    return entries


def _spread(values: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """Scatter the last axis of `values` to the indices `places` of an axis of `size` zeros."""
    spread = np.zeros((*values.shape[:-1], size), values.dtype)
    spread[..., places] = values
    return spread
