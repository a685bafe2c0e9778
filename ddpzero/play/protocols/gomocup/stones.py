"""An order of moves that leads to the stones on a board, for managers that name them in any order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest

import numpy as np

from ddpzero.games.shared.lines import cells_in_lines
from ddpzero.play.protocols.gomocup.errors import CommandError


def moves_to(own: Sequence[int], others: Sequence[int], size: int, exactly_five: bool) -> list[int]:
    """Return moves, taken in turn, after which these cells have stones and the owner of `own` is to move.

    own, others: cells of the board, row * size + column; their order is kept if the rules accept it.
    Raises CommandError if the numbers of stones, or a row of five, are of no such game.
    """
    if len(others) - len(own) not in (0, 1):
        raise CommandError(
            f"{len(own)} own stones and {len(others)} of the opponent: in a game in which it is our turn there are as "
            "many, or one more of the opponent"
        )
    if len({*own, *others}) < len(own) + len(others):
        raise CommandError("two stones are on the same square")
    own, others = (_order(cells, size, exactly_five) for cells in (own, others))
    first, second = (own, others) if len(own) == len(others) else (others, own)
    pairs = chain.from_iterable(zip_longest(first, second))
    return [cell for cell in pairs if cell is not None]


def _order(cells: Sequence[int], size: int, exactly_five: bool) -> Sequence[int]:
    """Return the cells in an order in which no five are in a row at any time."""
    if _winning(cells, size, exactly_five):
        raise CommandError("the game is over: there is a row of five")
    # Without longer rows no subset has a row of five, either.
    if not exactly_five or not _overlong(cells, size):
        return cells
    if not any(_winning(cells[:count], size, True) for count in range(5, len(cells))):
        return cells
    order = _taken_apart(cells, size, set())
    if order is None:
        raise CommandError("these stones cannot be placed without a row of exactly five")
    return order


def _taken_apart(
    cells: Sequence[int], size: int, hopeless: set[frozenset[int]]
) -> Sequence[int] | None:
    """Return an order for cells without a row of exactly five: the stones placed last make rows longer than that.

    hopeless: sets of cells for which there is none.
    """
    overlong = _overlong(cells, size)
    if not overlong:
        return cells
    for last in overlong:
        before = [cell for cell in cells if cell != last]
        if frozenset(before) in hopeless or _winning(before, size, True):
            continue
        order = _taken_apart(before, size, hopeless)
        if order is not None:
            return [*order, last]
    hopeless.add(frozenset(cells))
    return None


def _winning(cells: Sequence[int], size: int, exactly_five: bool) -> list[int]:
    return cells_in_lines(_board(cells, size), size, size, 5, exactly_five)


def _overlong(cells: Sequence[int], size: int) -> list[int]:
    return cells_in_lines(_board(cells, size), size, size, 6)


def _board(cells: Sequence[int], size: int) -> np.ndarray:
    board = np.zeros(size * size, np.int8)
    board[list(cells)] = 1
    return board
