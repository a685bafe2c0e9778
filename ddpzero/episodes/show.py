"""Shows one game in the terminal, move by move, with what the search thought."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ddpzero.episodes.filters import result_of
from ddpzero.episodes.source import StoredGame
from ddpzero.games import Game
from ddpzero.games.core.replayed import plies_of, replay

_NUM_MOVES = 3


def lines_of(game: StoredGame) -> Iterator[str]:
    """Yield the text of a game: each position, and for its samples the search's value and favorite moves.

    Raises ValueError for moves that the rules do not allow.
    """
    facts = game.facts
    winner = {
        "first": "the first player wins",
        "second": "the second player wins",
        "draw": "a draw",
    }
    if facts is None or facts.moves is None or not isinstance(facts.game, Game):
        yield from (
            [game.algorithm.describe_episode(game.info)]
            if game.algorithm.can_show(game.info)
            else [f"game {game.number}: its moves are not recorded"]
        )
        return
    board, position = facts.game, facts.game.initial_position()
    sample_of = _samples_by_ply(game)
    num_given = min(sample_of, default=facts.first_ply)
    for ply, action in enumerate(facts.moves, start=1):
        name = board.action_name(action)
        position = board.apply_action(position, action)
        origin = " (not chosen by the search)" if ply <= num_given else ""
        yield f"{ply}. {name}{origin}{_thoughts(game, sample_of.get(ply - 1))}"
        yield board.render(position, action)
        yield ""
    early = "" if facts.is_ended_by_rules else ", as the search proved"
    yield f"{winner[result_of(game)]}{early}, {len(facts.moves)} plies; {game.model or 'no model yet'}"


def _samples_by_ply(game: StoredGame) -> dict[int, int]:
    """Return ply -> row of the sample that shows the position before its move, as far as they can be matched."""
    facts, columns = game.facts, game.columns
    assert facts is not None and facts.moves is not None and isinstance(facts.game, Game)
    if "observation" not in columns or "board" in columns:
        return {}
    observations = replay(facts.game, facts.moves).observations
    plies = plies_of(columns["observation"], observations, facts.first_ply)
    return {int(ply): row for row, ply in enumerate(plies) if ply >= 0}


def _thoughts(game: StoredGame, row: int | None) -> str:
    """Return what the search thought of the position of a sample: its value, and the moves that it preferred."""
    columns, facts = game.columns, game.facts
    if (
        row is None
        or "policy_target" not in columns
        or "root_value" not in columns
        or facts is None
    ):
        return ""
    assert isinstance(facts.game, Game)
    policy = columns["policy_target"][row].astype(np.float32)
    best = [int(action) for action in np.argsort(-policy)[:_NUM_MOVES] if policy[action] > 0.01]
    moves = ", ".join(f"{facts.game.action_name(action)} {policy[action]:.0%}" for action in best)
    return f"   value {columns['root_value'][row]:+.2f}{': ' + moves if moves else ''}"
