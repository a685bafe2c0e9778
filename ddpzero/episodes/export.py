"""Writes games for other programs: SGF where the game has such a format, else a line of moves for each game."""

from __future__ import annotations

from ddpzero.episodes.filters import result_of
from ddpzero.episodes.source import StoredGame
from ddpzero.games import Game
from ddpzero.system.errors import require

_SGF_RESULTS = {"first": "B+R", "second": "W+R", "draw": "0"}


def has_sgf(game: StoredGame) -> bool:
    return (
        game.facts is not None
        and isinstance(game.facts.game, Game)
        and bool(game.facts.game.sgf_header)
    )


def sgf_of(game: StoredGame) -> str:
    """Return a game as SGF (https://www.red-bean.com/sgf); needs has_sgf. The result says who won, not by how much."""
    facts = game.facts
    assert facts is not None and isinstance(facts.game, Game) and facts.moves is not None
    board, position, moves = facts.game, facts.game.initial_position(), []
    for action in facts.moves:
        color = "BW"[board.current_player(position)]
        moves.append(f";{color}[{board.sgf_point(action)}]")
        position = board.apply_action(position, action)
    result = _SGF_RESULTS[result_of(game)]
    if facts.is_ended_by_rules and board.has_score and result != "0":
        result = f"{result[0]}+{abs(board.score(position)):g}"
    name = _sgf_text(game.model)
    names = f"PB[{name}]PW[{name}]" if name else ""
    return f"(;FF[4]CA[UTF-8]AP[ddpzero]{board.sgf_header}{names}RE[{result}]\n{''.join(moves)})\n"


def _sgf_text(text: str) -> str:
    """Return text as the value of a property."""
    return text.replace("\\", "\\\\").replace("]", "\\]")


def line_of(game: StoredGame) -> str:
    """Return a game as a line: the number, who won, and its moves. Raises UserError without recorded moves."""
    facts = game.facts
    require(
        facts is not None and isinstance(facts.game, Game) and facts.moves is not None,
        f"game {game.number} has no recorded moves: it cannot be exported.",
    )
    assert facts is not None and isinstance(facts.game, Game) and facts.moves is not None
    names = " ".join(facts.game.action_name(action) for action in facts.moves)
    return f"{game.number}\t{result_of(game)}\t{names}\n"
