"""What a game file declares besides its kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Upper limit of sizes: above it, arrays would not fit into any machine's memory.
MOST_OF_ANYTHING = 10_000_000
_SIZES = ("num_actions", "position_size", "num_planes", "board_shape", "max_plies")


@dataclass(frozen=True)
class GameSpec:
    """The sizes of one game with fixed parameters, and the symmetries of its board.

    Letters: A num_actions, P position_size, C num_planes, F num_globals, H x W board_shape, S symmetries.

    position_dtype: the integer type of a position's entries.
    max_plies: upper limit of an episode's length.
    cell_symmetries: `[S, H * W]` int32; `moved = plane[cell_symmetries[s]]`; the identity is the first.
    action_symmetries: `[S, A]` int32; `moved_policy = policy[action_symmetries[s]]`, in the same order.
    num_start_symmetries: the number of symmetries, counted from the first, that keep the start position; None: all.
    action_cells: `[A]` int32, the cell of each action, -1 for an action without a cell (a pass); None if actions are
    not cells. A network of a game with action_cells can play boards of all sizes.
    num_globals: number of values that the network sees besides the planes, written by `observe_globals`.
    max_score: upper limit of the score's absolute value, for a game with the kernel `score`.
    owner_cells: `[B]` int32, the cell of each entry of `ownership`; None if the entries are the cells, or if they do
    not belong to single cells.
    global_scales: `[F]`, factors by which the network multiplies the globals to bring them near -1..1; (): all 1.

    Raises ValueError if the fields are inconsistent.
    """

    num_actions: int
    position_size: int
    position_dtype: np.dtype
    num_planes: int
    board_shape: tuple[int, int]
    max_plies: int
    cell_symmetries: np.ndarray
    action_symmetries: np.ndarray
    num_start_symmetries: int | None = None
    action_cells: np.ndarray | None = None
    num_globals: int = 0
    global_scales: tuple[float, ...] = ()
    max_score: int = 0
    owner_cells: np.ndarray | None = None

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_board_symmetries()
        height, width = self.board_shape
        if self.action_cells is not None:
            self._check_action_cells(height * width)
        if self.owner_cells is not None and (self.owner_symmetries < 0).any():
            raise ValueError(
                "GameSpec.owner_cells must be cells that every symmetry moves onto each other."
            )
        self._check_globals()

    def _check_sizes(self) -> None:
        if len(self.board_shape) != 2:
            raise ValueError(
                f"GameSpec.board_shape={self.board_shape}: it must be (height, width)."
            )
        for name in _SIZES:
            value = getattr(self, name)
            sizes = value if name == "board_shape" else (value,)
            if not all(is_size(size, MOST_OF_ANYTHING) for size in sizes):
                raise ValueError(
                    f"GameSpec.{name}={value!r}: whole numbers from 1 to {MOST_OF_ANYTHING:,} are "
                    "allowed."
                )
        if not np.issubdtype(self.position_dtype, np.integer):
            raise ValueError(
                f"GameSpec.position_dtype={self.position_dtype}: a position is a row of integers."
            )

    def _check_board_symmetries(self) -> None:
        height, width = self.board_shape
        _check_symmetries("cell_symmetries", self.cell_symmetries, height * width)
        _check_symmetries("action_symmetries", self.action_symmetries, self.num_actions)
        if len(self.cell_symmetries) != len(self.action_symmetries):
            raise ValueError(
                f"GameSpec has {len(self.cell_symmetries)} cell_symmetries but "
                f"{len(self.action_symmetries)} action_symmetries: row s of both is the same symmetry."
            )
        num_starts = self.num_start_symmetries
        if num_starts is not None and not 1 <= num_starts <= len(self.cell_symmetries):
            raise ValueError(
                f"GameSpec.num_start_symmetries={num_starts} must be from 1 to {len(self.cell_symmetries)}."
            )

    def _check_globals(self) -> None:
        if self.num_globals < 0 or len(self.global_scales) not in (0, self.num_globals):
            raise ValueError(
                f"GameSpec has num_globals={self.num_globals} but {len(self.global_scales)} global_scales: give one "
                "for each, or none."
            )
        if not np.isfinite(self.global_scales).all():
            raise ValueError(
                f"GameSpec.global_scales={self.global_scales}: finite numbers are allowed."
            )

    @property
    def owner_symmetries(self) -> np.ndarray:
        """Indices `[S, B]`: `moved_owners = owners[owner_symmetries[s]]`."""
        if self.owner_cells is None:
            return self.cell_symmetries
        entry_of_cell = np.full(self.cell_symmetries.shape[1], -1, np.int32)
        entry_of_cell[self.owner_cells] = np.arange(len(self.owner_cells), dtype=np.int32)
        return entry_of_cell[self.cell_symmetries[:, self.owner_cells]]

    @property
    def actions_are_columns(self) -> bool:
        """Whether the actions move with the board's columns under its symmetries, and some symmetry moves the columns.

        Without such a symmetry the number of actions may equal the number of columns by coincidence.
        """
        height, width = self.board_shape
        columns = self.cell_symmetries.reshape(-1, height, width) % width
        return (
            self.num_actions == width
            and bool((columns == self.action_symmetries[:, None, :]).all())
            and bool((self.action_symmetries != np.arange(width)).any())
        )

    def _check_action_cells(self, num_cells: int) -> None:
        cells = self.action_cells
        assert cells is not None
        if cells.shape != (self.num_actions,) or cells.dtype != np.int32:
            raise ValueError(
                f"GameSpec.action_cells is {cells.dtype} of shape {cells.shape}: it must be int32 "
                f"({self.num_actions},)."
            )
        own = cells[cells >= 0]
        if cells.min() < -1 or (own >= num_cells).any() or len(set(own.tolist())) != len(own):
            raise ValueError(
                f"GameSpec.action_cells must be -1 or different cells from 0 to {num_cells - 1}."
            )
        for index, (cell_symmetry, action_symmetry) in enumerate(
            zip(self.cell_symmetries, self.action_symmetries, strict=True)
        ):
            moved = cells[action_symmetry]
            expected = np.where(cells >= 0, cell_symmetry[cells], -1)
            if not np.array_equal(moved, expected):
                raise ValueError(
                    f"GameSpec.action_symmetries[{index}] does not move the actions with their cells."
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


def is_size(value: object, most: int) -> bool:
    """Return whether a value is a whole number from 1 to `most`."""
    return isinstance(value, (int, np.integer)) and bool(1 <= value <= most)
