"""What perfect play makes of positions of the package's files: web/ and play/ show it beside what an agent thinks.

Positions that symmetries of the board map onto each other share an entry.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from ddpzero.games import Game, describe_game
from ddpzero.judges.packaged import position_files
from ddpzero.judges.solved_positions import ILLEGAL, SolvedPositions, read_solved_positions
from ddpzero.system.errors import UserError


@dataclass(frozen=True)
class ExactValues:
    """What perfect play makes of a position, from the view of the player to move.

    outcomes: of each legal action: 1 wins, 0 draws, -1 loses. margins: the mover's points minus the opponent's at the
    end, of each legal action; None for a game without points.
    """

    outcomes: Mapping[int, int]
    margins: Mapping[int, int] | None

    @property
    def outcome(self) -> int:
        return max(self.outcomes.values())

    @property
    def margin(self) -> int | None:
        return None if self.margins is None else max(self.margins.values())

    @property
    def best_actions(self) -> list[int]:
        """The actions with the most points; those that keep the outcome in a game without points."""
        values = self.outcomes if self.margins is None else self.margins
        most = max(values.values())
        return [action for action, value in values.items() if value == most]


class ExactTable:
    """The positions of the files of one game and board."""

    def __init__(self, solved: list[SolvedPositions]) -> None:
        """solved: at least one, all of the same game and board."""
        self._game = solved[0].game
        self._has_margins = solved[0].scores_are_margins
        # By the smallest view of a position, the scores `[A]` of the actions in this view.
        self._scores: dict[bytes, np.ndarray] = {}
        for each in solved:
            views = _smallest_views(self._game, each.positions)
            for (key, symmetry), scores in zip(views, each.scores.astype(np.int16), strict=True):
                self._scores[key] = scores[self._game.spec.action_symmetries[symmetry]]

    def find(self, position: np.ndarray) -> ExactValues | None:
        """Return what is known of a position that is not terminal; None if it is in no file."""
        ((key, symmetry),) = _smallest_views(self._game, position[None])
        found = self._scores.get(key)
        if found is None:
            return None
        scores = np.empty_like(found)
        scores[self._game.spec.action_symmetries[symmetry]] = found
        of_actions = {int(a): int(scores[a]) for a in np.flatnonzero(scores != ILLEGAL)}
        return ExactValues(
            outcomes={action: int(np.sign(score)) for action, score in of_actions.items()},
            margins=of_actions if self._has_margins else None,
        )


class ExactTables:
    """The tables of all games, each read when it is first asked for. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: dict[str, ExactTable | None] = {}

    def read(self, game: Game) -> ExactTable | None:
        """Return the table of a game; None if there is none. The first time this takes tenths of a second."""
        # A game from outside may have any rules, whatever its name is.
        if game.source is not None:
            return None
        key = describe_game(game)
        with self._lock:
            if key not in self._tables:
                self._tables[key] = read_exact_table(game)
            return self._tables[key]

    def is_read(self, game: Game) -> bool:
        """Return whether `read` would answer at once."""
        return game.source is not None or describe_game(game) in self._tables

    def start_reading(self, game: Game) -> None:
        """Read the table of a game in the background, unless that has been done."""
        if not self.is_read(game):
            threading.Thread(target=self.read, args=(game,), name="exact", daemon=True).start()


def read_exact_table(game: Game) -> ExactTable | None:
    """Read the package's files of this game and board; None if there are none, or if the game is from outside."""
    if game.source is not None:
        return None
    solved = []
    for file in position_files():
        with suppress(UserError):
            solved.append(read_solved_positions(file, game))
    return ExactTable(solved) if solved else None


def _smallest_views(game: Game, positions: np.ndarray) -> list[tuple[bytes, int]]:
    """Return, of each position `[n, P]`, the symmetric view whose packed observation is the smallest, and its symmetry.

    The observation has everything that matters of a position of these games, from the view of the player to move.
    """
    planes = np.stack([game.observation(position) for position in positions])
    planes = planes.reshape(len(positions), game.num_planes, -1)
    views = [
        np.packbits(planes[:, :, cells].reshape(len(positions), -1), axis=1)
        for cells in game.spec.cell_symmetries
    ]
    smallest = []
    for index, position in enumerate(positions):
        key, symmetry = min((view[index].tobytes(), s) for s, view in enumerate(views))
        smallest.append((key + game.observed_globals(position).tobytes(), symmetry))
    return smallest
