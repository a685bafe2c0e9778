"""The names of colors and of moves.

Go, Othello and Hex have the names that their programs use: of GNU Go (A1 at the bottom, no I), GRhino (a1 at the top)
and MoHex (a1 at the top, with i). Moves of any other game are the points of GTP's board on which they are drawn; in a
game of columns, the point on which the stone comes to lie.

GoGui knows upper case names without I in every game, and counts rows upwards from 1: a program that asks for the rules
of Othello or Hex as GoGui does hears and says these, A1 being the point that is a1 otherwise.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from ddpzero.games import Game
from ddpzero.play.protocols.gtp.lines import Refused

LETTERS = "ABCDEFGHJKLMNOPQRSTUVWXYZ"  # without I
_LETTERS_OF_DRAWINGS = string.ascii_lowercase
_COLORS = {"b": 0, "black": 0, "w": 1, "white": 1}
COLOR_NAMES = ("black", "white")
INVALID_VERTEX = "invalid color or coordinate"
_SWAP = "swap-pieces"


def parse_color(text: str) -> int:
    """Return the player of a color. Raises Refused."""
    if text.lower() not in _COLORS:
        raise Refused("invalid color")
    return _COLORS[text.lower()]


class Names(Protocol):
    """The names of a game's moves, which may depend on the position."""

    def name(self, position: np.ndarray, action: int) -> str: ...

    def parse(self, position: np.ndarray, text: str) -> int:
        """Return the action of a name. Raises Refused if it is none; the action need not be legal."""
        ...


def names_of(game: Game, is_for_gogui: bool = False) -> Names:
    """Return the names of a game's moves. is_for_gogui: as GoGui has them, see above."""
    is_square_enough = max(game.board_shape) <= len(LETTERS)
    if game.name in ("go", "othello", "hex") and game.source is None:
        if is_for_gogui and game.name != "go" and is_square_enough:
            return CellNames(game, first_row_is_1=True)
        return OwnNames(game)
    if game.spec.actions_are_columns:
        return ColumnNames(game)
    if game.spec.action_cells is not None and is_square_enough:
        return CellNames(game)
    return OwnNames(game)


def _refusal(game: Game, text: str, name_of: Callable[[int], str]) -> Refused:
    """Return what is said about a name that is none; of a move as the game itself writes it, with its name here."""
    try:
        action = game.parse_action(text)
    except ValueError:
        return Refused(INVALID_VERTEX)
    return Refused(f"{INVALID_VERTEX}: in GTP this move is {name_of(action)}")


def with_letters_of(names: Names, num_columns: int, drawing: str) -> str:
    """Return a game's drawing of its board with the letters that names of moves have, instead of all of them."""
    if isinstance(names, OwnNames):
        return drawing
    return drawing.replace(
        " ".join(_LETTERS_OF_DRAWINGS[:num_columns]), " ".join(LETTERS[:num_columns])
    )


def name_line(game: Game, names: Names, position: np.ndarray, actions: Sequence[int]) -> list[str]:
    """Return the names of moves that follow each other from a position on."""
    line = []
    for action in actions:
        line.append(names.name(position, action))
        position = game.apply_action(position, action)
    return line


class OwnNames:
    """The names that the game itself has."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self._may_swap = bool(getattr(game.parameters, "swap", False)) and game.name == "hex"

    def name(self, position: np.ndarray, action: int) -> str:
        if self._may_swap and self._game.board(position)[action]:
            return _SWAP
        return "-".join(self._game.action_name(action).split())

    def parse(self, position: np.ndarray, text: str) -> int:
        if self._may_swap and text.lower() == _SWAP:
            stones = np.flatnonzero(self._game.board(position))
            if len(stones) != 1:
                raise Refused("illegal move")
            return int(stones[0])
        try:
            action = self._game.parse_action(text)
        except ValueError:
            raise Refused(INVALID_VERTEX) from None
        if self._may_swap and self._game.board(position)[action]:
            raise Refused("illegal move")
        return action


class CellNames:
    """Points of the board for moves that are cells; others, such as a pass, have the names of the game.

    The swap of Hex is the point of the stone that changes its color.
    """

    def __init__(self, game: Game, first_row_is_1: bool = False) -> None:
        """first_row_is_1: whether the row with number 1 is row 0 of the game's board, not its last one."""
        assert game.spec.action_cells is not None
        self._game = game
        self._first_row_is_1 = first_row_is_1
        self._num_rows, self._num_columns = game.board_shape
        cells = game.spec.action_cells.tolist()
        self._names = [
            game.action_name(action) if cell < 0 else self._vertex(cell)
            for action, cell in enumerate(cells)
        ]
        self._actions = {name.upper(): action for action, name in enumerate(self._names)}

    def name(self, position: np.ndarray, action: int) -> str:
        return self._names[action]

    def parse(self, position: np.ndarray, text: str) -> int:
        if text.upper() not in self._actions:
            raise _refusal(self._game, text, self._names.__getitem__)
        return self._actions[text.upper()]

    def _vertex(self, cell: int) -> str:
        row, column = divmod(cell, self._num_columns)
        return f"{LETTERS[column]}{row + 1 if self._first_row_is_1 else self._num_rows - row}"


class ColumnNames:
    """A move is any point of its column; its own name is the point on which its stone comes to lie."""

    def __init__(self, game: Game) -> None:
        self._game = game

    def name(self, position: np.ndarray, action: int) -> str:
        game, (num_rows, num_columns) = self._game, self._game.board_shape
        before, after = game.board(position), game.board(game.apply_action(position, action))
        number = 1
        if len(before) == num_rows * num_columns:
            is_new = (before == 0) & (after != 0)
            rows = np.flatnonzero(is_new.reshape(num_rows, num_columns)[:, action])
            number = num_rows - int(rows[0]) if len(rows) else 1
        return f"{LETTERS[action]}{number}"

    def parse(self, position: np.ndarray, text: str) -> int:
        num_rows, num_columns = self._game.board_shape
        column = LETTERS.find(text[:1].upper())
        is_number = text[1:].isascii() and text[1:].isdecimal() and len(text) <= 4
        if not (0 <= column < num_columns and is_number and 1 <= int(text[1:]) <= num_rows):
            raise _refusal(self._game, text, lambda action: f"{LETTERS[action]}1")
        return column


def grid_of(game: Game, position: np.ndarray, actions: Sequence[int]) -> list[str]:
    """Return the board as rows of . (empty, or no point of the game), X (first player) and O (second player).

    Rows and columns as GTP's names have them, so that row 1 is the last line of the text. actions: those that led to
    the position; they show moves that the game's board does not, such as the edges of Dots and Boxes.
    """
    num_rows, num_columns = game.board_shape
    board = game.board(position)
    cells = np.full(num_rows * num_columns, ".")
    if len(board) == len(cells):
        cells = np.array(list(".XO"))[board]
    elif game.owner_cells is not None:
        cells[game.owner_cells] = np.array(list(".XO"))[board]
    if len(board) != len(cells) and game.spec.action_cells is not None:
        is_cell = game.spec.action_cells >= 0
        for player, action in _movers(game, actions):
            if is_cell[action]:
                cells[game.spec.action_cells[action]] = "XO"[player]
    rows = ["".join(row) for row in cells.reshape(num_rows, num_columns)]
    # Row 0 of these games is named 1, at the top of the boards of GRhino and MoHex.
    return rows[::-1] if isinstance(names_of(game), OwnNames) else rows


def _movers(game: Game, actions: Sequence[int]) -> list[tuple[int, int]]:
    movers, position = [], game.initial_position()
    for action in actions:
        movers.append((game.current_player(position), action))
        position = game.apply_action(position, action)
    return movers
