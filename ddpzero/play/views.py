"""Renders the board in color and a player's analysis of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ddpzero.games import Game
from ddpzero.games.core.players import Analysis

PLAYER_STYLES = ("bold bright_yellow", "bold bright_red")
_BOARD_BACKGROUND = "on grey15"
_LAST_MOVE_BACKGROUND = "on grey37"
_LINE_BACKGROUND = "on dark_green"
# Precedes a winning cell if the terminal has no color.
_LINE_MARK = "*"
# Replacements for single characters of Game.render; all others (coordinates, edges) are not changed.
_SYMBOLS = {
    "X": ("●", PLAYER_STYLES[0]),
    "O": ("○", PLAYER_STYLES[1]),
    ".": ("·", "grey58"),
}
# Characters next to a cell's character: blanks, the brackets of the last move, the edges of a box. The players' marks
# along the edges of a Hex board have further ones.
_AROUND_CELLS = " []|*"
_AROUND_MARKS = " []|*\\-"
_WDL_STYLES = ("green3", "grey58", "red3")
_WDL_BARS = "█▒░"
_BAR_WIDTH = 32
_NUM_BEST_ACTIONS = 5
# A move with most of the search is no sure win, and beside chances it would look like one.
SHARES_OF_SEARCH = "each move's share of the search:"
SHARES_OF_NETWORK = "the network's choice:"
SHARES_OF_PLAYER = "what it prefers:"


# plain: letters only; shapes: discs without color; color: both.
Look = Literal["plain", "shapes", "color"]


def look_of(console: Console) -> Look:
    """Return how to render a board: without discs if the output shows only ASCII, without color if NO_COLOR is set."""
    if console.color_system is None or console.options.ascii_only:
        return "plain"
    return "shapes" if console.no_color else "color"


def player_marks(look: Look) -> tuple[str, str]:
    """Return the marks of the first and the second player on the board."""
    return ("X", "O") if look == "plain" else (_SYMBOLS["X"][0], _SYMBOLS["O"][0])


def board_view(
    game: Game, position: np.ndarray, last_action: int | None, look: Look
) -> RenderableType:
    """Return the game's text board, with discs for X and O unless the look is plain.

    The last move is in brackets, or highlighted in color; winning cells are highlighted, or preceded by a *.
    """
    lines = game.render(position, last_action).splitlines()
    won = game.winning_cells(position) if game.is_terminal(position) else []
    places = _places_of_cells(lines, game.num_cells) if won else []
    won_places = {places[cell] for cell in won} if places else set()
    if look != "color":
        lines = [_marked(line, row, won_places) for row, line in enumerate(lines)]
    if look == "plain":
        return Text("\n".join(lines))
    # The closing bracket of a last move in the last column must not make the board wider.
    width = max(map(len, game.render(position).splitlines())) + 1
    text = Text("\n").join(
        _disc_line(line.ljust(width), row, won_places, look) for row, line in enumerate(lines)
    )
    return Panel(text, box=ROUNDED, style=_BOARD_BACKGROUND, border_style="grey37", expand=False)


def analysis_view(
    game: Game, analysis: Analysis, title: str, heading: str = SHARES_OF_SEARCH
) -> RenderableType:
    """Return a panel with win, draw and loss probabilities and the best actions, by their share of the policy.

    The analysis is of one position. heading: says what these shares are.
    """
    wdl = analysis.wdl[0]
    chances = Table.grid(padding=(0, 2))
    chances.add_row(
        *(
            Text(f"{name} {share:.0%}", style=style)
            for name, share, style in zip(("win", "draw", "loss"), wdl, _WDL_STYLES, strict=True)
        )
    )
    favorites = Table.grid(padding=(0, 1))
    policy = analysis.policy[0]
    for action in np.argsort(-policy, kind="stable")[:_NUM_BEST_ACTIONS]:
        # Skip actions that would be shown with 0 %.
        if policy[action] >= 0.005:
            favorites.add_row(
                Text(game.action_name(action), style="bold"),
                Text("━" * max(1, round(policy[action] * (_BAR_WIDTH - 9))), style="cyan"),
                Text(f"{policy[action]:.0%}", style="dim"),
            )
    body = Group(_wdl_bar(wdl), chances, Text(), Text(heading, style="dim"), favorites)
    return Panel(
        body, title=Text(title), title_align="left", box=ROUNDED, expand=False, border_style="dim"
    )


def side_by_side(left: RenderableType, right: RenderableType | None) -> RenderableType:
    if right is None:
        return left
    grid = Table.grid(padding=(0, 3))
    grid.add_column()
    grid.add_column(overflow="fold")
    grid.add_row(left, right)
    return grid


def _is_lone(line: str, index: int, around: str) -> bool:
    before, after = line[:index][-1:], line[index + 1 : index + 2]
    return not (before + after).strip(around)


def _is_of_board(line: str) -> bool:
    """Return whether a line contains cells, and not the column letters, which may include an O."""
    lone = {line[index] for index in range(len(line)) if _is_lone(line, index, _AROUND_CELLS)}
    return not any(character.isalpha() and character not in _SYMBOLS for character in lone)


def _places_of_cells(lines: Sequence[str], num_cells: int) -> list[tuple[int, int]]:
    """Return the row and column of each cell's character, in reading order; none if the text is not a plain board."""
    places = [
        (row, index)
        for row, line in enumerate(lines)
        if _is_of_board(line)
        for index, character in enumerate(line)
        if character in _SYMBOLS and _is_lone(line, index, _AROUND_CELLS)
    ]
    return places if len(places) == num_cells else []


def _marked(line: str, row: int, won: set[tuple[int, int]]) -> str:
    """Return the line with a * before each winning cell, in place of a blank or the last move's bracket."""
    characters = list(line)
    for index in range(1, len(line)):
        if (row, index) in won:
            characters[index - 1] = _LINE_MARK
            if line[index + 1 : index + 2] == "]":
                characters[index + 1] = " "
    return "".join(characters).rstrip() if won else line


def _disc_line(line: str, row: int, won: set[tuple[int, int]], look: Look) -> Text:
    text = Text()
    is_of_board = _is_of_board(line)
    for index, character in enumerate(line):
        before, after = line[:index][-1:], line[index + 1 : index + 2]
        symbol, style = character, "grey70"
        if is_of_board and _is_lone(line, index, _AROUND_MARKS):
            symbol, style = _SYMBOLS.get(character, (character, "grey70"))
        if look == "shapes":
            text.append(symbol, "bold")
            continue
        if character in "[]" or (before, after) == ("[", "]"):
            style = f"{style} {_LAST_MOVE_BACKGROUND}"
            symbol = " " if character in "[]" else symbol
        if (row, index) in won:
            style = f"{style} {_LINE_BACKGROUND}"
        text.append(symbol, style)
    return text


def _wdl_bar(wdl: np.ndarray) -> Text:
    # Round the edges, not the parts, so that the bar keeps its length.
    edges = np.rint(np.cumsum(np.concatenate([[0.0], wdl])) * _BAR_WIDTH).astype(int)
    bar = Text()
    for width, style, character in zip(np.diff(edges), _WDL_STYLES, _WDL_BARS, strict=True):
        bar.append(character * int(width), style)
    return bar
