"""Smaller boards of a game inside a larger one, their frame: so one network learns boards of several sizes together.

A board lies in the frame's first rows and columns, with nothing around it. What belongs to a cell goes with the cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ddpzero.games.core.game import Game


@dataclass(frozen=True)
class Placement:
    """Where a board's entries are in its frame. Letters: H x W the board's cells, A its actions, B what is owned.

    cells: `[H * W]`. actions: `[A]`.
    """

    board: Game
    frame: Game
    cells: np.ndarray
    actions: np.ndarray

    @cached_property
    def owners(self) -> np.ndarray:
        """`[B]`, empty in games without ownership. Asks the rules, and compiles them: not for a config's check."""
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
        """Packed observations `[n, bytes]` of the board as those of the frame."""
        board, frame = self.board, self.frame
        num_planes, num_cells = board.num_planes, len(self.cells)
        bits = np.unpackbits(packed[:, : board.planes_size_bytes], axis=1, bitorder="little")
        planes = bits[:, : num_planes * num_cells].reshape(-1, num_planes, num_cells)
        framed = _spread(planes, self.cells, frame.board_shape[0] * frame.board_shape[1])
        framed_bits = np.packbits(framed.reshape(len(packed), -1), axis=1, bitorder="little")
        return np.hstack([framed_bits, packed[:, board.planes_size_bytes :]])

    def policies(self, policies: np.ndarray) -> np.ndarray:
        """`[n, A]` of the board as those of the frame, 0 for actions beside the board."""
        return _spread(policies, self.actions, self.frame.num_actions)

    def ownership(self, owners: np.ndarray) -> np.ndarray:
        """`[n, B]` of the board as that of the frame, 0 beside the board."""
        return _spread(owners, self.owners, self.frame.num_cells)


def place(board: Game, frame: Game) -> Placement:
    """Return where `board` lies in `frame`. ValueError unless both are one game and the board fits into the frame.

    A board lies in a frame of the same parameters whatever its actions are; in others they must be cells or columns.
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
    return Placement(board, frame, cells, _placed_actions(board, frame, cells))


def _placed_actions(board: Game, frame: Game, cells: np.ndarray) -> np.ndarray:
    if board.parameters == frame.parameters:
        # The board is its own frame: whatever its actions mean, they stay where they are.
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
    """`[num_cells]`: which entry of `cells` each cell is; -1 for none. Negative entries are no cells."""
    entries = np.full(num_cells, -1, np.int64)
    is_cell = cells >= 0
    entries[cells[is_cell]] = np.flatnonzero(is_cell)
    return entries


def _spread(values: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """The last axis of `values` at `places` of one of `size` zeros."""
    spread = np.zeros((*values.shape[:-1], size), values.dtype)
    spread[..., places] = values
    return spread
