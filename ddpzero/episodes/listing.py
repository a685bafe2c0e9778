"""The list of games: a line for each, made for the width of a terminal. report.py prints it."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ddpzero.episodes.filters import result_of
from ddpzero.episodes.source import StoredGame
from ddpzero.games import Game

_HEADINGS = ("no.", "plies", "samples", "won by", "model", "first moves")
_WINNERS = {"first": "first", "second": "second", "draw": "nobody"}
# Spaces between two columns.
_GAP = 2
_MAX_MOVES = 6
_MIN_MOVES_WIDTH = 12
_MIN_MODEL_WIDTH = 12


def table_of(games: list[StoredGame], width: int) -> Table:
    """Return a table of games, at least one, with a line each.

    width: of the terminal. One that is too narrow first loses moves, then the beginnings of the names of models.
    """
    facts = [_facts(game) for game in games]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *facts, strict=False)]
    room = width - sum(width + _GAP for width in widths) - _GAP
    longest = max(len(game.model) for game in games)
    of_model = min(longest, max(_MIN_MODEL_WIDTH, room - _MIN_MOVES_WIDTH))
    of_moves = room - max(of_model, len("model"))
    # Rich puts one space between columns by itself.
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for heading in _HEADINGS:
        is_number = heading in ("no.", "plies", "samples")
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    for game, cells in zip(games, facts, strict=True):
        table.add_row(*cells, _end(game.model, of_model), _beginning(names_of(game), of_moves))
    return table


def names_of(game: StoredGame) -> list[str]:
    """Return the names of a game's moves; none if they are not recorded."""
    facts = game.facts
    if facts is None or facts.moves is None or not isinstance(facts.game, Game):
        return []
    return [facts.game.action_name(action) for action in facts.moves]


def _facts(game: StoredGame) -> tuple[str, ...]:
    length = "" if game.facts is None else str(game.facts.length)
    won_by = _WINNERS.get(result_of(game), "")
    if won_by and game.facts is not None and not game.facts.is_ended_by_rules:
        won_by += ", proven"
    return str(game.number), length, str(game.num_samples), won_by


def _end(name: str, width: int) -> str:
    """Return a name, without its beginning if it is longer: the models of a run differ in their last letters."""
    return name if len(name) <= width else f"…{name[len(name) + 1 - width :]}"


def _beginning(names: list[str], width: int) -> str:
    """Return the first names of moves that fit, and … if there are more."""
    for number in range(min(_MAX_MOVES, len(names)), 0, -1):
        text = " ".join(names[:number]) + (" …" if number < len(names) else "")
        if len(text) <= width:
            return text
    return "…" if names else ""
