"""Sessions in this process: lines from a script, an agent of a few lines, answers in a list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core.players import Analysis
from ddpzero.play.protocols.gtp.dialects import commands_of
from ddpzero.play.protocols.gtp.session import Session
from ddpzero.play.strength import Strength
from ddpzero.system.errors import UserError


class FirstMovePlayer:
    """Prefers the first legal action to the second one, 3 to 1, and expects to win half of the games."""

    uses_chance = False
    name = "first"
    num_simulations = 100

    def __init__(self, game: Game) -> None:
        self._game = game

    def choose(self, positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self.analyze(positions, rng).actions

    def analyze(self, positions: np.ndarray, rng: np.random.Generator) -> Analysis:
        n = len(positions)
        policy = np.zeros((n, self._game.num_actions), np.float32)
        for row, position in zip(policy, positions, strict=True):
            legal = self._game.possible_actions(position)
            row[legal[:2]] = (0.75, 0.25)[: len(legal)]
            row /= row.sum()
        wdl = np.tile(np.array([0.5, 0.25, 0.25], np.float32), (n, 1))
        return Analysis(policy.argmax(axis=1), policy, wdl[:, 0] - wdl[:, 2], wdl)


class Agent:
    """Plays boards of up to max_size cells along an edge."""

    name = "runs/a"

    def __init__(self, game: Game, max_size: int, make_player=FirstMovePlayer) -> None:
        self.game = game
        self._max_size = max_size
        self._make_player = make_player

    def fits(self, game: Game) -> bool:
        return max(game.board_shape) <= self._max_size

    def player_of(self, game: Game):
        if not self.fits(game):
            raise UserError("too large")
        return self._make_player(game)


class ScriptedLines:
    """Lines that have arrived all together, or arrive when they are awaited."""

    def __init__(self, lines: list[str] | None = None) -> None:
        self.lines = lines or []
        self.num_waits = 0

    def next(self) -> str | None:
        return self.lines.pop(0) if self.lines else None

    def is_waiting(self) -> bool:
        return bool(self.lines)

    def wait(self) -> None:
        self.num_waits += 1

    def is_interrupted(self) -> bool:
        return False


class Conversation:
    """A session, and what it has written since the last line."""

    def __init__(self, game: Game, max_size: int = 9, strength: Strength | None = None, **agent):
        self.lines = ScriptedLines()
        self.written: list[str] = []
        self.session = Session(
            Agent(game, max_size, **agent),
            commands_of,
            strength or Strength(),
            self.lines,
            self.written.append,
            np.random.default_rng(0),
        )
        self.is_open = True

    def say(self, line: str) -> str:
        """Send a line and return the answer as it is written."""
        self.written.clear()
        self.is_open = self.session.obey(line)
        return "".join(self.written)


class Exchange(NamedTuple):
    number: int
    line: str
    answer: str


def exchanges(file: Path) -> Iterator[Exchange]:
    """Yield the exchanges of a file: a line after > with escapes such as \\x07, and the lines that answer it."""
    number, line, answer = 0, None, []
    for index, text in enumerate(file.read_text().splitlines(), start=1):
        if text.startswith("#"):
            continue
        if text.startswith(">"):
            if line is not None:
                yield Exchange(number, line, "".join(f"{part}\n" for part in answer))
            number, answer = index, []
            line = text[2:].encode("latin-1", "backslashreplace").decode("unicode_escape")
        else:
            answer.append(text)
    if line is not None:
        yield Exchange(number, line, "".join(f"{part}\n" for part in answer))
