"""Protocols of players, trained or not, which choose actions in matches, judges and play. Defines no player."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np


class Player(Protocol):
    """Plays a board game.

    uses_chance: whether `choose` uses `rng`; all episodes between two players that do not are the same.
    A player that searches may have an attribute num_simulations, its simulations per move, which reports show.
    """

    name: str
    uses_chance: bool

    def choose(self, positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return an action `[n]` for each position `[n, P]`; it is this player's turn in all of them."""
        ...


@dataclass(frozen=True)
class Analysis:
    """A player's evaluation of n positions, each from the view of the player to move. Letter: A num_actions.

    actions: `[n]` integers, what it would play.
    policy: `[n, A]` float32 that sums to 1, its preference for each action; 0 for illegal ones.
    value: `[n]` float32 in [-1, 1], the return that it expects.
    wdl: `[n, 3]` float32 that sums to 1, the probabilities of a win, a draw and a loss.
    """

    actions: np.ndarray
    policy: np.ndarray
    value: np.ndarray
    wdl: np.ndarray


@runtime_checkable
class Analyst(Player, Protocol):
    """A player that can also evaluate positions; `isinstance` tests whether a player is one."""

    def analyze(self, positions: np.ndarray, rng: np.random.Generator) -> Analysis:
        """Return the evaluations behind the actions that `choose` would return for positions `[n, P]`."""
        ...


class TeamPlayer(Protocol):
    """Acts for the agents of one team in a team game. Letters: P position_size, K agents per team."""

    name: str

    def choose(
        self, positions: np.ndarray, teams: np.ndarray, random_states: np.ndarray
    ) -> np.ndarray:
        """Return integer actions `[n, K]` of the agents of team `teams` `[n]` in positions `[n, P]`.

        None of the positions is terminal.
        random_states: `[n, 2]` uint64, one random stream per row; sampling advances it in place.
        """
        ...
