"""Elo ratings of all players of a run from all their games: the Bradley-Terry model by maximum likelihood.

A draw counts as half a win and half a loss. A fifth of an imagined draw between any two players that have met keeps the
ratings finite if somebody won every game; more would bias them, as simulated tournaments show. The maximum is unique,
because the likelihood is concave.

The 95 % intervals are of the difference to the anchor. They come from the scatter of the results around the model (the
sandwich estimator), with the two games from one opening as one observation: games of a pair depend on each other, and
draws scatter less than wins and losses (White, Econometrica 1982; Liang and Zeger, Biometrika 1986). Two imagined pairs
in each meeting keep a scatter of 0, as of drawn games only, from being taken for certainty.

The matrices are sparse, because a player meets few others: after one more block, new ratings of 1,200 players take
0.05 s. scipy is imported where it is needed: a run without matches does without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpzero.arena.match_log import Block
from ddpzero.arena.statistics import Z_95

ELO_PER_NAT = 400 / math.log(10)
_IMAGINED_DRAWS = 0.2
# Games by which a player's expected score may differ from its score.
_GRADIENT_TOLERANCE = 1e-5
# Solutions that are in memory at the same time.
_NUM_COLUMNS = 64


@dataclass(frozen=True)
class Rating:
    """A player's Elo relative to the anchor, with its 95 % interval. score: in all its games, in [0, 1]."""

    player: str
    elo: float
    low: float
    high: float
    num_games: int
    score: float


def rate(blocks: Iterable[Block], anchor: str) -> list[Rating]:
    """Return the ratings from these games; see Tournament.ratings."""
    tournament = Tournament(anchor)
    tournament.add(blocks)
    return tournament.ratings()


class Tournament:
    """All games of some players. Games can be added between ratings, which then cost little.

    The search for the ratings starts from the last ones. Intervals of players without new games are kept until 2 % of
    all games are new: they change slowly, and each costs a solution of a linear system.
    """

    def __init__(self, anchor: str) -> None:
        """anchor: the player with Elo 0."""
        self._anchor = anchor
        # Of each two players that have met, from the view of the first: the number of openings, and the sums of its
        # mean scores from each opening and of their squares.
        self._sums: dict[tuple[str, str], np.ndarray] = {}
        self._strengths: dict[str, float] = {}
        self._deviations: dict[str, float] = {}
        self._num_openings = self._num_openings_of_deviations = 0

    def add(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            names, scores = (block.player_a, block.player_b), np.array(block.pair_scores)
            if names[::-1] in self._sums:
                names, scores = names[::-1], 1 - scores
            sums = self._sums.setdefault(names, np.zeros(3))
            sums += len(scores), scores.sum(), (scores**2).sum()
            self._num_openings += len(scores)
            for player in names:
                self._deviations.pop(player, None)

    def ratings(self) -> list[Rating]:
        """Return the ratings of the anchor (Elo 0) and of all players connected to it by games, strongest first.

        Empty if the anchor has no game.
        """
        if not any(self._anchor in names for names in self._sums):
            return []
        players = _connected_to(self._anchor, list(self._sums))
        index = {player: i for i, player in enumerate(players)}
        pairs = [names for names in self._sums if names[0] in index]
        table = _Table(
            np.array([(index[a], index[b]) for a, b in pairs]),
            np.array([self._sums[names] for names in pairs]),
        )
        strengths = table.most_likely(np.array([self._strengths.get(p, 0.0) for p in players]))
        self._strengths = dict(zip(players, strengths.tolist(), strict=True))
        self._find_deviations(table, players, strengths)
        ratings = []
        for player, num_games, score in zip(players, *table.totals(), strict=True):
            elo = self._strengths[player] * ELO_PER_NAT
            half_width = self._deviations[player] * Z_95 * ELO_PER_NAT
            ratings.append(
                Rating(player, elo, elo - half_width, elo + half_width, num_games, score)
            )
        return sorted(ratings, key=lambda rating: -rating.elo)

    def _find_deviations(
        self, table: _Table, players: Sequence[str], strengths: np.ndarray
    ) -> None:
        if self._num_openings > 1.02 * self._num_openings_of_deviations:
            self._deviations = {}
            self._num_openings_of_deviations = self._num_openings
        due = [i for i, player in enumerate(players) if player not in self._deviations]
        deviations = table.deviations(strengths, np.array(due, int)).tolist()
        self._deviations |= dict(zip([players[i] for i in due], deviations, strict=True))


def _connected_to(anchor: str, edges: Sequence[tuple[str, str]]) -> list[str]:
    """Return the anchor and the players that are connected to it by edges, the anchor first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    players = [anchor, *sorted({player for edge in edges for player in edge} - {anchor})]
    index = {player: i for i, player in enumerate(players)}
    rows, columns = np.array([(index[a], index[b]) for a, b in edges]).T
    size = len(players)
    adjacency = coo_array((np.ones(len(edges)), (rows, columns)), shape=(size, size))
    _, component = connected_components(adjacency, directed=False)
    return [
        player for player, label in zip(players, component, strict=True) if label == component[0]
    ]


def _with_anchor(free: np.ndarray) -> np.ndarray:
    """Return the strengths of all players from those of all but the anchor, which has 0."""
    return np.concatenate([[0.0], free])


class _Table:
    """The meetings of n players as arrays. Strengths are in nats (ELO_PER_NAT); player 0 is the anchor, with 0."""

    def __init__(self, pairs: np.ndarray, sums: np.ndarray) -> None:
        """pairs: `[m, 2]`, the players of each meeting. sums: `[m, 3]`, see Tournament."""
        self._a, self._b = pairs.T
        self._num_players = int(pairs.max()) + 1
        self._num_pairs, self._score, self._square = sums.T
        # Per meeting, in games and with imagined draws.
        self._games = 2 * self._num_pairs + _IMAGINED_DRAWS
        self._wins = 2 * self._score + _IMAGINED_DRAWS / 2

    def totals(self) -> tuple[list[int], list[float]]:
        """Return the number of games of each player and its score in them, without imagined draws."""
        num_pairs = self._sum(self._num_pairs, self._num_pairs)
        scores = self._sum(self._score, self._num_pairs - self._score) / num_pairs
        return (2 * num_pairs).astype(int).tolist(), scores.tolist()

    def most_likely(self, strengths: np.ndarray) -> np.ndarray:
        """Return the strengths `[n]` of maximum likelihood. strengths: `[n]`, a guess."""
        from scipy.optimize import minimize

        found = minimize(
            lambda free: -self._log_likelihood(_with_anchor(free)),
            strengths[1:],
            jac=lambda free: -self._gradient(_with_anchor(free))[1:],
            hessp=lambda free, change: self._information_times(_with_anchor(free), change)[1:],
            method="trust-krylov",
            options={"gtol": _GRADIENT_TOLERANCE},
        )
        return _with_anchor(found.x)

    def deviations(self, strengths: np.ndarray, players: np.ndarray) -> np.ndarray:
        """Return the standard deviations `[k]` of the strengths of players `[k]`, as differences to the anchor's."""
        factors, scatter = self._factors(strengths), self._scatter(strengths)
        variances = np.zeros(len(players))
        for start in range(0, len(players), _NUM_COLUMNS):
            chunk = players[start : start + _NUM_COLUMNS]
            # Columns of the inverse of the information; that of the anchor, whose strength is known, is 0.
            inverse = np.zeros((self._num_players, len(chunk)))
            inverse[chunk, np.arange(len(chunk))] = 1
            inverse[1:] = factors.solve(inverse[1:])
            inverse[0] = 0
            differences = inverse[self._a] - inverse[self._b]
            variances[start : start + _NUM_COLUMNS] = scatter @ differences**2
        return np.sqrt(variances)

    def _scatter(self, strengths: np.ndarray) -> np.ndarray:
        """Return `[m]`, the sum of the squared residuals of each meeting: of pairs of games, and of imagined draws."""
        expected, number = self._expected(strengths), self._num_pairs
        squares = self._square - 2 * expected * self._score + number * expected**2
        # The mean square of a pair, over the real pairs and two imagined ones, each won or lost as the model expects;
        # statistics.paired_score_interval does the same.
        imagined = 2 * expected * (1 - expected)
        mean_square = (squares + imagined) / (number + 1)
        real = 4 * mean_square * number**2 / (number + 2)
        return np.asarray(real + _IMAGINED_DRAWS * (0.5 - expected) ** 2)

    def _expected(self, strengths: np.ndarray) -> np.ndarray:
        from scipy.special import expit

        return np.asarray(expit(strengths[self._a] - strengths[self._b]))

    def _log_likelihood(self, strengths: np.ndarray) -> float:
        from scipy.special import log_expit

        difference = strengths[self._a] - strengths[self._b]
        losses = self._games - self._wins
        return float((self._wins * log_expit(difference) + losses * log_expit(-difference)).sum())

    def _gradient(self, strengths: np.ndarray) -> np.ndarray:
        surplus = self._wins - self._games * self._expected(strengths)
        return self._sum(surplus, -surplus)

    def _information_times(self, strengths: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Return Fisher's information about all strengths times a change `[n - 1]` of those but the anchor's."""
        change = _with_anchor(change)
        product = self._information(strengths) * (change[self._a] - change[self._b])
        return self._sum(product, -product)

    def _information(self, strengths: np.ndarray) -> np.ndarray:
        """Return Fisher's information `[m]` of each meeting about the difference of its players."""
        from scipy.special import expit

        # 1 - expit(difference) would be 0 from 37 nats on.
        difference = strengths[self._a] - strengths[self._b]
        return np.asarray(self._games * expit(difference) * expit(-difference))

    def _factors(self, strengths: np.ndarray) -> Any:
        """Return the factors of Fisher's information `[n - 1, n - 1]` about all strengths but the anchor's."""
        from scipy.sparse import coo_array
        from scipy.sparse.linalg import splu

        weights = self._information(strengths)
        a, b, size = self._a, self._b, self._num_players
        rows, columns = np.concatenate([(a, a), (b, b), (a, b), (b, a)], axis=1)
        values = np.concatenate([weights, weights, -weights, -weights])
        matrix = coo_array((values, (rows, columns)), shape=(size, size)).tocsc()[1:, 1:]
        return splu(matrix, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})

    def _sum(self, of_a: np.ndarray, of_b: np.ndarray) -> np.ndarray:
        """Return `[n]`, for each player the sum over its meetings of a value `[m]` of player a or of player b."""
        size = self._num_players
        return np.bincount(self._a, of_a, size) + np.bincount(self._b, of_b, size)
