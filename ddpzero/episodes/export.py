"""Makes records of stored games, which other programs read as SGF, and lines of moves of them."""

from __future__ import annotations

from dataclasses import replace

from ddpzero.episodes.filters import result_of
from ddpzero.episodes.source import StoredGame
from ddpzero.games import Game
from ddpzero.records import GameRecord, result_at_end
from ddpzero.records.move_list import line_of_moves
from ddpzero.system.errors import UserError

# Of games that were stopped with a known result: the loser would have resigned.
_STOPPED = {"first": "B+R", "second": "W+R", "draw": "0"}


def record_of(game: StoredGame) -> GameRecord:
    """Return a stored game as a record. Raises UserError without recorded moves."""
    facts = game.facts
    if facts is None or not isinstance(facts.game, Game) or facts.moves is None:
        raise UserError(f"game {game.number} has no recorded moves: it cannot be exported.")
    record = GameRecord(facts.game, tuple(facts.moves), (game.model, game.model))
    at_end = result_at_end(facts.game, record.positions()[-1]) if facts.is_ended_by_rules else ""
    return replace(record, result=at_end or _STOPPED[result_of(game)])


def has_sgf(game: StoredGame) -> bool:
    return (
        game.facts is not None
        and isinstance(game.facts.game, Game)
        and bool(game.facts.game.sgf_header)
    )


def line_of(game: StoredGame) -> str:
    """Return a game as a line: the number, who won, and its moves. Raises UserError without recorded moves."""
    return f"{game.number}\t{result_of(game)}\t{line_of_moves(record_of(game))}\n"
