"""Stones on the board of Go, as GTP lists them: chains, and stones that are set up."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ddpzero.games import Game, variation
from ddpzero.play.protocols.gtp.lines import Refused
from ddpzero.play.protocols.gtp.table import Move

INVALID_NUMBER = "invalid number of stones"
# A chain is dead if its points are expected to be the opponent's to this degree, where 1 is certain.
_DEAD_FROM = 0.5


def chains_of(game: Game, position: np.ndarray) -> list[list[int]]:
    """Return the cells of each chain of a position of Go."""
    board = game.board(position)
    known: set[int] = set()
    chains = []
    for first in np.flatnonzero(board).tolist():
        if first in known:
            continue
        chain = [first]
        known.add(first)
        for cell in chain:
            for other in _neighbors(game.parameters.size, cell):
                if board[other] == board[first] and other not in known:
                    known.add(other)
                    chain.append(other)
        chains.append(chain)
    return chains


def _neighbors(size: int, cell: int) -> Iterator[int]:
    row, column = divmod(cell, size)
    for other_row, other_column in (
        (row - 1, column),
        (row + 1, column),
        (row, column - 1),
        (row, column + 1),
    ):
        if 0 <= other_row < size and 0 <= other_column < size:
            yield size * other_row + other_column


def is_dead(game: Game, position: np.ndarray, chain: list[int], black_owns: np.ndarray) -> bool:
    """Return whether the opponent is expected to own a chain's points. black_owns: `[cells]`, 1 black's, -1 white's."""
    is_black = game.board(position)[chain[0]] == 1
    expected = float(black_owns[chain].mean())
    return (expected if is_black else -expected) < -_DEAD_FROM


def star_points(game: Game, num_stones: int) -> list[int]:
    """Return the cells of GTP's fixed_handicap. Raises Refused if there are none for so many stones."""
    if num_stones < 2:
        raise Refused(INVALID_NUMBER)
    try:
        start = variation(game, handicap=num_stones)
    except ValueError:
        raise Refused(INVALID_NUMBER) from None
    return np.flatnonzero(start.board(start.initial_position())).tolist()


def most_star_points(game: Game, num_stones: int) -> list[int]:
    """Return star points for so many stones, or for as many as the board has."""
    for number in range(num_stones, 1, -1):
        try:
            return star_points(game, number)
        except Refused:
            continue
    return []


def in_turns(stones: list[Move]) -> list[Move]:
    """Return stones in an order in which the colors take turns as long as there are both."""
    black = [stone for stone in stones if stone.player == 0]
    white = [stone for stone in stones if stone.player == 1]
    num_pairs = min(len(black), len(white))
    pairs = [stone for pair in zip(black, white, strict=False) for stone in pair]
    return [*pairs, *black[num_pairs:], *white[num_pairs:]]
