"""What a person sees: the board in colours, and what a player thinks of it. Draws; decides nothing."""

from __future__ import annotations

import numpy as np
from rich.box import ROUNDED
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ddpzero.arena.players import Analysis
from ddpzero.games import Game

PLAYER_STYLES = ("bold bright_yellow", "bold bright_red")
_BOARD_BACKGROUND = "on grey15"
_LAST_MOVE_BACKGROUND = "on grey37"
# What a lone character of Game.render becomes; everything else (coordinates, edges) is drawn as it is.
_SYMBOLS = {
    "X": ("●", PLAYER_STYLES[0]),
    "O": ("●", PLAYER_STYLES[1]),
    ".": ("·", "grey58"),
}
_WDL_STYLES = ("green3", "grey58", "red3")
_BAR_WIDTH = 32
_NUM_BEST_ACTIONS = 5


def board_view(
    game: Game, position: np.ndarray, last_action: int | None, in_colour: bool
) -> RenderableType:
    """The game's own drawing; in colour with discs for X and O, and the last move lit up instead of in brackets."""
    drawing = game.render(position, last_action)
    if not in_colour:
        return Text(drawing)
    # The closing bracket of a last move in the last column must not make the board wider.
    width = max(map(len, game.render(position).splitlines())) + 1
    text = Text("\n").join(_colour_line(line.ljust(width)) for line in drawing.splitlines())
    return Panel(text, box=ROUNDED, style=_BOARD_BACKGROUND, border_style="grey37", expand=False)


def analysis_view(game: Game, analysis: Analysis, title: str) -> RenderableType:
    """A player's win, draw and loss chances and its favourite actions; analysis of a single position."""
    wdl = analysis.wdl[0]
    chances = Table.grid(padding=(0, 2))
    chances.add_row(
        *(
            Text(f"{name} {share:.0%}", style=style)
            for name, share, style in zip(("win", "draw", "loss"), wdl, _WDL_STYLES, strict=True)
        )
    )
    favourites = Table.grid(padding=(0, 1))
    policy = analysis.policy[0]
    for action in np.argsort(-policy, kind="stable")[:_NUM_BEST_ACTIONS]:
        if policy[action] >= 0.005:  # shown as 1 % or more
            favourites.add_row(
                Text(game.action_name(action), style="bold"),
                Text("━" * max(1, round(policy[action] * (_BAR_WIDTH - 9))), style="cyan"),
                Text(f"{policy[action]:.0%}", style="dim"),
            )
    body = Group(_wdl_bar(wdl), chances, Text(), favourites)
    return Panel(
        body, title=title, title_align="left", box=ROUNDED, expand=False, border_style="dim"
    )


def side_by_side(left: RenderableType, right: RenderableType | None) -> RenderableType:
    if right is None:
        return left
    grid = Table.grid(padding=(0, 3))
    grid.add_row(left, right)
    return grid


def _colour_line(line: str) -> Text:
    text = Text()
    for index, character in enumerate(line):
        before, after = line[index - 1 : index], line[index + 1 : index + 2]
        is_alone = not (before + after).strip("[] ")
        is_last_move = character in "[]" or (before, after) == ("[", "]")
        symbol, style = (
            _SYMBOLS.get(character, (character, "grey70")) if is_alone else (character, "grey70")
        )
        if character in "[]":
            symbol = " "
        text.append(symbol, f"{style} {_LAST_MOVE_BACKGROUND}" if is_last_move else style)
    return text


def _wdl_bar(wdl: np.ndarray) -> Text:
    # Rounding the edges, not the parts, keeps the bar's length.
    edges = np.rint(np.cumsum(np.concatenate([[0.0], wdl])) * _BAR_WIDTH).astype(int)
    bar = Text()
    for width, style in zip(np.diff(edges), _WDL_STYLES, strict=True):
        bar.append("█" * int(width), style)
    return bar
