"""The games that a run played against itself, as a page lists and opens them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddpzero.episodes.export import record_of
from ddpzero.episodes.filters import result_of
from ddpzero.episodes.source import EpisodeReader, StoredGame, find_shards
from ddpzero.games import Game
from ddpzero.records import GameRecord
from ddpzero.run.shard import read_shard
from ddpzero.system.errors import UserError

_MAX_LISTED = 100
_MAX_SHARDS = 4


def list_stored(run: Path) -> list[dict[str, Any]]:
    """Return the newest games of a run, newest first. Raises UserError if it has none, or unreadable ones."""
    listed: list[dict[str, Any]] = []
    for path in reversed(find_shards(str(run))[-_MAX_SHARDS:]):
        games = [game for game in _games_of(path) if _can_be_shown(game)]
        for game in reversed(games[-_MAX_LISTED:]):
            assert game.facts is not None
            listed.append(
                {
                    "key": f"{path.relative_to(run)}:{game.number}",
                    "model": game.model,
                    "winner": result_of(game),
                    "length": game.facts.length,
                    "is_proven": not game.facts.is_ended_by_rules,
                }
            )
    return listed[:_MAX_LISTED]


@dataclass(frozen=True)
class SelfPlay:
    """A game that a run played against itself.

    num_opening: of its first moves, which it did not choose: they are no samples. is_proven: whether it ended before
    the rules would have ended it, as its result was proven.
    """

    record: GameRecord
    num_opening: int
    is_proven: bool

    def describe(self) -> dict[str, Any]:
        return {
            "opening": self.num_opening,
            "is_proven": self.is_proven,
            "winner": self.record.winner,
        }


def stored_game(run: Path, key: str) -> SelfPlay:
    """Return a game that list_stored named. Raises UserError if it is no longer there."""
    name, _, number = key.rpartition(":")
    for path in find_shards(str(run)):
        if str(path.relative_to(run)) == name:
            for game in _games_of(path):
                if str(game.number) == number and _can_be_shown(game):
                    assert game.facts is not None
                    num_opening = max(game.facts.first_ply, game.facts.length - game.num_samples)
                    is_proven = not game.facts.is_ended_by_rules
                    return SelfPlay(record_of(game), num_opening, is_proven)
    raise UserError(f"the game {key[:80]!r} is not stored, or no longer.")


def _games_of(path: Path) -> list[StoredGame]:
    return list(EpisodeReader().of_shard(path, read_shard(path, False)))


def _can_be_shown(game: StoredGame) -> bool:
    facts = game.facts
    return facts is not None and isinstance(facts.game, Game) and facts.moves is not None
