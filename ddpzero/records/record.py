"""One game from its start: the moves, who played, how it ended, and what was said about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ddpzero.games import Game

# What a result may be, besides "": a draw, or a winner with the margin or the reason.
_RESULT = re.compile(r"0|[BW]\+(R|T|F|\d{1,6}(\.\d{1,3})?)?")
_PLAYERS = {"B": "first player", "W": "second player"}
_REASONS = {"R": "the other resigned", "T": "the other ran out of time", "F": "by forfeit"}


@dataclass(frozen=True)
class GameRecord:
    """actions: legal ones, from the initial position on. names: of the first and the second player.

    result: as SGF says it: "B+3.5" (the first player wins by 3.5), "W+R" (the second, who did not resign), "B+", "0"
    (a draw), "" (unknown, or not over). comments: by the number of moves before them. date: such as "2026-12-31".
    """

    game: Game
    actions: tuple[int, ...]
    names: tuple[str, str] = ("", "")
    result: str = ""
    comments: Mapping[int, str] = field(default_factory=dict)
    date: str = ""

    def positions(self) -> list[np.ndarray]:
        """Return the positions before each move and after the last one. Raises ValueError for an illegal move."""
        positions = [self.game.initial_position()]
        for action in self.actions:
            positions.append(self.game.apply_action(positions[-1], action))
        return positions

    @property
    def winner(self) -> int | None:
        """The player who won, 0 or 1; None for a draw, or if the result is unknown."""
        return {"B": 0, "W": 1}.get(self.result[:1])


def result_at_end(game: Game, position: np.ndarray, resigned: int | None = None) -> str:
    """Return the result of a game as GameRecord has it; "" if it is not over. resigned: the player who gave up."""
    if resigned is not None:
        return f"{'WB'[resigned]}+R"
    if not game.is_terminal(position):
        return ""
    returns = game.returns(position)
    if returns[0] == returns[1]:
        return "0"
    winner = int(np.argmax(returns))
    margin = margin_at_end(game, position)
    return f"{'BW'[winner]}+{'' if margin is None else f'{abs(margin):g}'}"


def margin_at_end(game: Game, position: np.ndarray) -> float | None:
    """Return by how much the first player is ahead in a terminal position, komi included; None without a score."""
    if not game.has_score:
        return None
    return game.score(position) - getattr(game.parameters, "komi", 0)


def said_of_result(result: str, names: tuple[str, str] = ("", "")) -> str:
    """Return "second player won by 3.5" for "W+3.5": a result in words, for games in which nobody is black or white.

    names: of the players, where they have any. tidy_result reads the words without names.
    """
    if result in ("", "0"):
        return "draw" if result else ""
    winner, _, how = result.partition("+")
    name = names["BW".index(winner)] or _PLAYERS[winner]
    if how in _REASONS:
        return f"{name} won ({_REASONS[how]})"
    return f"{name} won by {how}" if how else f"{name} won"


def tidy_result(text: str) -> str:
    """Return a result from a file as GameRecord has it; "" for one that says nothing of the kind."""
    return _tidy_words(text) or _tidy_notation(text)


def _tidy_words(text: str) -> str:
    """Return the result that words of said_of_result are; "" for other words."""
    player, _, rest = " ".join(text.split()).lower().partition(" won")
    winner = next((letter for letter, name in _PLAYERS.items() if name == player), "")
    letters = {f" ({reason})": letter for letter, reason in _REASONS.items()}
    found = f"{winner}+{letters.get(rest, rest.removeprefix(' by '))}"
    return found if _RESULT.fullmatch(found) else ""


def _tidy_notation(text: str) -> str:
    """Return the result that SGF's notation, or something close to it, stands for; "" for what is none."""
    cleaned = "".join(text.split()).lower()
    if cleaned in ("0", "draw", "jigo"):
        return "0"
    winner, _, how = cleaned.replace("black", "b").replace("white", "w").partition("+")
    how = {"resign": "R", "time": "T", "forfeit": "F"}.get(how, how.upper())
    found = f"{winner.upper()}+{how}"
    return found if _RESULT.fullmatch(found) else ""
