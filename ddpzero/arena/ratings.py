"""Elo ratings of all players of a run from all their games: the Bradley-Terry model by maximum likelihood.

A draw counts as half a win and half a loss. A fifth of an imagined draw between any two players that have met keeps the
ratings finite if somebody won every game; more would bias them, as simulated tournaments show. scipy finds the maximum,
which is unique because the likelihood is concave.

The 95 % intervals are of the difference to the anchor. They come from the scatter of the results around the model (the
sandwich estimator), with the two games from one opening as one observation: games of a pair depend on each other, and
draws scatter less than wins and losses (White, Econometrica 1982; Liang and Zeger, Biometrika 1986).

scipy is imported where it is needed: a run without matches does without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ddpzero.arena.match_log import Block
from ddpzero.arena.statistics import Z_95

ELO_PER_NAT = 400 / math.log(10)
_IMAGINED_DRAWS = 0.2
# The ratings are found once no component of the gradient, in games, is larger.
_GRADIENT_TOLERANCE = 1e-9


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
    """Return the ratings of the anchor (Elo 0) and of all players connected to it by games, strongest first.

    Empty if the anchor has no game.
    """
    meetings = _meetings(blocks)
    if not any(anchor in (meeting.player_a, meeting.player_b) for meeting in meetings):
        return []
    players = _connected_to(anchor, [(m.player_a, m.player_b) for m in meetings])
    meetings = [meeting for meeting in meetings if meeting.player_a in players]
    table = _Table(players, meetings)
    strengths = table.most_likely()
    deviations = table.deviations(strengths)
    ratings = []
    for index, player in enumerate(players):
        elo = float(strengths[index]) * ELO_PER_NAT
        half_width = float(deviations[index]) * Z_95 * ELO_PER_NAT
        num_games, score = table.totals(index)
        ratings.append(Rating(player, elo, elo - half_width, elo + half_width, num_games, score))
    return sorted(ratings, key=lambda rating: -rating.elo)


@dataclass(frozen=True)
class _Meeting:
    """All games of two players. pair_scores: `[m]` in [0, 1], player_a's mean score from each opening."""

    player_a: str
    player_b: str
    pair_scores: np.ndarray


def _meetings(blocks: Iterable[Block]) -> list[_Meeting]:
    scores: dict[tuple[str, str], list[float]] = {}
    for block in blocks:
        names, own = (block.player_a, block.player_b), block.pair_scores
        if names[::-1] in scores:
            names, own = names[::-1], [1 - score for score in own]
        scores.setdefault(names, []).extend(own)
    return [_Meeting(a, b, np.array(own)) for (a, b), own in scores.items()]


def _connected_to(anchor: str, edges: Sequence[tuple[str, str]]) -> list[str]:
    """Return the anchor and the players that are connected to it by edges, the anchor first."""
    from scipy.sparse.csgraph import connected_components

    players = [anchor, *sorted({player for edge in edges for player in edge} - {anchor})]
    index = {player: i for i, player in enumerate(players)}
    adjacency = np.zeros((len(players), len(players)), dtype=np.int8)
    for a, b in edges:
        adjacency[index[a], index[b]] = 1
    _, component = connected_components(adjacency, directed=False)
    return [
        player for player, label in zip(players, component, strict=True) if label == component[0]
    ]


class _Table:
    """The meetings of n players as arrays. Strengths are in nats (ELO_PER_NAT); player 0 is the anchor, with 0."""

    def __init__(self, players: Sequence[str], meetings: Sequence[_Meeting]) -> None:
        index = {player: i for i, player in enumerate(players)}
        self._num_players = len(players)
        self._a = np.array([index[meeting.player_a] for meeting in meetings])
        self._b = np.array([index[meeting.player_b] for meeting in meetings])
        self._num_pairs = np.array([len(meeting.pair_scores) for meeting in meetings])
        self._score = np.array([meeting.pair_scores.sum() for meeting in meetings])
        self._square = np.array([(meeting.pair_scores**2).sum() for meeting in meetings])
        # Per meeting, in games and with imagined draws.
        self._games = 2 * self._num_pairs + _IMAGINED_DRAWS
        self._wins = 2 * self._score + _IMAGINED_DRAWS / 2

    def totals(self, player: int) -> tuple[int, float]:
        """Return the number of games of a player and its score in them, without imagined draws."""
        as_a, as_b = self._a == player, self._b == player
        num_pairs = self._num_pairs[as_a].sum() + self._num_pairs[as_b].sum()
        score = self._score[as_a].sum() + (self._num_pairs - self._score)[as_b].sum()
        return int(2 * num_pairs), float(score / num_pairs)

    def most_likely(self) -> np.ndarray:
        """Return the strengths `[n]` of maximum likelihood."""
        from scipy.optimize import minimize

        if self._num_players == 1:
            return np.zeros(1)
        found = minimize(
            lambda free: -self._log_likelihood(self._with_anchor(free)),
            np.zeros(self._num_players - 1),
            jac=lambda free: -self._gradient(self._with_anchor(free))[1:],
            hess=lambda free: self._laplacian(self._information(self._with_anchor(free)))[1:, 1:],
            method="trust-exact",
            options={"gtol": _GRADIENT_TOLERANCE},
        )
        return self._with_anchor(found.x)

    def deviations(self, strengths: np.ndarray) -> np.ndarray:
        """Return the standard deviation `[n]` of each strength's difference to the anchor's."""
        expected = self._expected(strengths)
        # The squared residuals of each opening's two games together, and of imagined draws.
        scatter = self._square - 2 * expected * self._score + self._num_pairs * expected**2
        scatter = 4 * scatter + _IMAGINED_DRAWS * (0.5 - expected) ** 2
        bread = np.linalg.inv(self._laplacian(self._information(strengths))[1:, 1:])
        variance = np.diag(bread @ self._laplacian(scatter)[1:, 1:] @ bread)
        return np.concatenate([[0.0], np.sqrt(variance)])

    def _with_anchor(self, free: np.ndarray) -> np.ndarray:
        return np.concatenate([[0.0], free])

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
        gradient = np.zeros(self._num_players)
        np.add.at(gradient, self._a, surplus)
        np.add.at(gradient, self._b, -surplus)
        return gradient

    def _information(self, strengths: np.ndarray) -> np.ndarray:
        """Return Fisher's information of each meeting about the difference of its players."""
        expected = self._expected(strengths)
        return self._games * expected * (1 - expected)

    def _laplacian(self, weights: np.ndarray) -> np.ndarray:
        """Return `[n, n]`: the sum over meetings of weight times (e_a - e_b)(e_a - e_b)^T."""
        matrix = np.zeros((self._num_players, self._num_players))
        np.add.at(matrix, (self._a, self._a), weights)
        np.add.at(matrix, (self._b, self._b), weights)
        np.add.at(matrix, (self._a, self._b), -weights)
        np.add.at(matrix, (self._b, self._a), -weights)
        return matrix
