"""Positions of finished episodes at which later episodes start, after Go-Exploit (arXiv 2302.12359).

A position is stored as the moves that lead to it, which are its whole state in every game: also boards that superko
forbids. Each BoardGames of an actor has an archive of its own. Imports no torch.
"""

from __future__ import annotations

import numpy as np

from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.replay import Episode

NO_MOVES = np.zeros(0, np.int32)


class Archive:
    """A bounded set of positions; a new one replaces the oldest.

    With restart_priority=uniform each finished episode adds a random position, and all are equally likely to be chosen.
    With restart_priority=regret it adds the position that it misjudged most, and positions are chosen in proportion to
    their regret.
    """

    def __init__(self, settings: AlphaZeroSettings):
        self._size = settings.restart_archive_size
        self._restart_fraction = settings.restart_fraction
        self._by_regret = settings.restart_priority == "regret"
        self.clear(seed=0)

    def __len__(self) -> int:
        return len(self._moves)

    def clear(self, seed: int) -> None:
        """Forget all positions. The following choices depend only on the seed and on the episodes added later."""
        self._random = np.random.default_rng(seed)
        self._moves: list[np.ndarray] = []
        self._weights = np.zeros(self._size)
        self._indices: dict[bytes, int] = {}
        self._num_added = 0

    def choose_start(self) -> np.ndarray:
        """Return the moves `[n]` int32 after which the next episode starts; none for the initial position."""
        totals = np.cumsum(self._weights[: len(self._moves)])
        if self._random.random() >= self._restart_fraction or not self._moves or totals[-1] <= 0:
            return NO_MOVES
        index = int(np.searchsorted(totals, self._random.random() * totals[-1], side="right"))
        return self._moves[min(index, len(self._moves) - 1)]

    def add(self, episode: Episode) -> None:
        """Add a position of a finished episode, and update the regret of the one that the episode started from."""
        moves = np.array(episode.info["moves"], np.int32)
        # The plies before the first sample belong to an opening, or were played before a restart.
        first_ply = len(moves) - episode.num_samples
        regrets = position_regrets(episode)
        if episode.info["restart_ply"] > 0:
            self._update_regret(moves[:first_ply], regrets[0])
        # The position that the episode started from is not added.
        if len(regrets) < 2:
            return
        if self._by_regret:
            row = 1 + int(np.argmax(regrets[1:]))
            weight = float(regrets[row])
        else:
            row, weight = int(self._random.integers(1, len(regrets))), 1.0
        if weight > 0:
            self._insert(moves[: first_ply + row], weight)

    def _insert(self, moves: np.ndarray, weight: float) -> None:
        key = moves.tobytes()
        index = self._indices.get(key)
        if index is None:
            index = self._num_added % self._size
            self._num_added += 1
            if index == len(self._moves):
                self._moves.append(moves)
            else:
                del self._indices[self._moves[index].tobytes()]
                self._moves[index] = moves
            self._indices[key] = index
        self._weights[index] = weight

    def _update_regret(self, moves: np.ndarray, regret: float) -> None:
        index = self._indices.get(moves.tobytes())
        if index is not None and self._by_regret:
            # One outcome is noisy: keep half of what earlier episodes showed.
            self._weights[index] = 0.5 * (self._weights[index] + regret)


def new_archive(settings: AlphaZeroSettings) -> Archive | None:
    """Return an empty archive, or None if no episode should start from an archived position."""
    return Archive(settings) if settings.restart_fraction > 0 else None


def position_regrets(episode: Episode) -> np.ndarray:
    """Return how much each sample's position was misjudged, `[n]` from 0 to 2.

    It is v * (v - outcome) for the search's value v, or 0 if that is negative: 0 where v was even or right, 1 for a won
    position that ended in a draw, 2 for one that was lost. This is half of the part of the squared error that exceeds
    1 - v * v, the error that v itself predicts: the outcome of an even position surprises nobody.
    """
    values: np.ndarray = episode.columns["root_value"]
    regrets: np.ndarray = np.maximum(values * (values - episode.columns["outcome"]), 0.0)
    return regrets
