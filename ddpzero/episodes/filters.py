"""Chooses games by their model, result and length."""

from __future__ import annotations

from dataclasses import dataclass

from ddpzero.episodes.source import StoredGame

RESULTS = ("first", "second", "draw")


@dataclass(frozen=True)
class GameFilter:
    """model: a part of the name of the newest model when the game was played. result: of RESULTS: who won.

    min_length, max_length: in plies or steps. None: any.
    """

    model: str | None = None
    result: str | None = None
    min_length: int | None = None
    max_length: int | None = None

    def accepts(self, game: StoredGame) -> bool:
        facts = game.facts
        if self.model is not None and self.model not in game.model:
            return False
        if facts is None:
            return self.result is None and self.min_length is None and self.max_length is None
        least, most = self.min_length or 0, self.max_length
        return (
            self.result in (None, result_of(game))
            and least <= facts.length
            and (most is None or facts.length <= most)
        )


def result_of(game: StoredGame) -> str:
    """Return who won, as in RESULTS; "" if that is unknown."""
    if game.facts is None:
        return ""
    first = game.facts.returns[0]
    return "first" if first > 0 else "second" if first < 0 else "draw"
