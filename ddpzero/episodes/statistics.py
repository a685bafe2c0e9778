"""Counts what a run has played: lengths, results, and how many different positions it has seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ddpzero.episodes.filters import RESULTS, result_of
from ddpzero.episodes.source import StoredGame
from ddpzero.games import Game
from ddpzero.games.core.replayed import replay

# Plies after which different positions are counted.
PLIES = (2, 4, 6, 8, 12, 16, 24, 32)


@dataclass
class GameStatistics:
    """num_games, num_samples: of all games. lengths: of each. results: by RESULTS. models: games by model.

    positions: ply -> the number of games that went on after it, and of different positions that they had then.
    """

    num_games: int = 0
    num_samples: int = 0
    lengths: list[int] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    positions: dict[int, tuple[int, int]] = field(default_factory=dict)


def statistics_of(games: Iterable[StoredGame]) -> GameStatistics:
    """Count games. Raises IllegalMoveError for moves that the rules do not allow."""
    found = GameStatistics(results=Counter(dict.fromkeys(RESULTS, 0)))
    seen: dict[int, set[int]] = {ply: set() for ply in PLIES}
    reached: Counter[int] = Counter()
    for game in games:
        found.num_games += 1
        found.models[game.model] += 1
        found.num_samples += game.num_samples
        facts = game.facts
        if facts is None:
            continue
        found.lengths.append(facts.length)
        found.results[result_of(game)] += 1
        moves = facts.moves
        if moves is None or not isinstance(facts.game, Game):
            continue
        observations = replay(facts.game, moves).observations
        for ply in (ply for ply in PLIES if ply < len(moves)):
            reached[ply] += 1
            seen[ply].add(hash((facts.game.name, observations[ply].tobytes())))
    found.positions = {ply: (reached[ply], len(seen[ply])) for ply in PLIES if reached[ply]}
    return found
