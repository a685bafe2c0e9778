"""Protocols of players, trained or not, which choose actions in matches, judges and play. Defines no player."""

from __future__ import annotations

import math
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


@dataclass(frozen=True)
class Evaluations:
    """What a network alone says of n positions, without a search, each from the view of the player to move.

    Letters: A num_actions, B entries of the game's board.

    policy: `[n, A]` float32 that sums to 1; 0 for illegal actions.
    value: `[n]` float32 in [-1, 1], the return that it expects.
    wdl: `[n, 3]` float32 that sums to 1, the probabilities of a win, a draw and a loss.
    score: `[n]` float32, the expected score margin at the end; None if the network does not know.
    ownership: `[n, B]` float32 in [-1, 1]: 1 the mover's at the end, -1 the opponent's; None if it does not know.
    """

    policy: np.ndarray
    value: np.ndarray
    wdl: np.ndarray
    score: np.ndarray | None = None
    ownership: np.ndarray | None = None


@runtime_checkable
class NetworkPlayer(Player, Protocol):
    """A player with a network that evaluates positions by itself; `isinstance` tests whether a player is one."""

    def evaluate(self, positions: np.ndarray) -> Evaluations:
        """Return what the network says of positions `[n, P]`, none of them terminal."""
        ...


@dataclass(frozen=True)
class MoveThought:
    """What a search has found about one action, from the view of the player to move.

    visits: simulations that began with it. value: the result that it leads to, in [-1, 1]; without visits, that of the
    position. prior: the network's probability. score: the score margin at the end that it leads to, None if the search
    counts none. line: the moves that follow, beginning with the action; line_visits: the simulations that went through
    each of them. is_proven: whether the value is certain.
    """

    action: int
    visits: int
    value: float
    prior: float
    score: float | None
    line: tuple[int, ...]
    is_proven: bool
    line_visits: tuple[int, ...] = ()

    @property
    def is_lost(self) -> bool:
        """Whether the action is proven to lose: it is never the best one of a position that is not lost."""
        return self.is_proven and self.value < -0.99


@dataclass(frozen=True)
class Thoughts:
    """What a search has found about one position, from the view of the player to move. Letter: A num_actions.

    moves: the legal actions, the best first. visits: simulations. value: the expected result in [-1, 1].
    wdl: the probabilities of a win, a draw and a loss. policy: `[A]` float32, the share of each action in the search.
    score: the expected score margin at the end, None if the search counts none. ownership: `[B]` float32 in [-1, 1], of
    each cell of the board: 1 the mover's at the end, -1 the opponent's; None if the network does not know.
    is_proven: whether the value is certain.
    """

    moves: tuple[MoveThought, ...]
    visits: int
    value: float
    wdl: tuple[float, float, float]
    policy: np.ndarray
    score: float | None
    is_proven: bool
    ownership: np.ndarray | None = None


class Thinker(Protocol):
    """Thinks about one position for as long as it is asked. Call `begin`, then the others as often as wanted.

    max_simulations: of one position.
    """

    max_simulations: int

    @property
    def visits(self) -> int:
        """The simulations that it knows of this position."""
        ...

    @property
    def lead(self) -> int:
        """The simulations that the most visited action has more than any other; all of them if there is no other."""
        ...

    def begin(self, position: np.ndarray, bans: np.ndarray | None = None) -> None:
        """Think about a position `[P]` from now on. Raises ValueError unless it is one that is not terminal.

        bans: `[D, 2, A]` bool, actions that each player may not choose in the first D plies; where no other action is
        legal, they are all allowed. Raises UserError if it cannot ban any.
        """
        ...

    def advance(self, action: int) -> None:
        """Think about the position after a legal action from now on, which must not be terminal."""
        ...

    def think(self, num_simulations: int, until: float = math.inf) -> bool:
        """Make so many simulations more; return whether further ones could find out something.

        until: returns earlier at this time, on time.perf_counter, but not before the position itself is evaluated.
        """
        ...

    def thoughts(self) -> Thoughts:
        """Return what it has found so far. Call `think` before."""
        ...


@runtime_checkable
class Thoughtful(Player, Protocol):
    """A player that can also think about one position for as long as it is asked."""

    def make_thinker(self, max_simulations: int) -> Thinker:
        """Return a new thinker. Raises UserError if there is too little memory for so many simulations."""
        ...

    def thinker_size_bytes(self, max_simulations: int) -> int:
        """Return the memory of a thinker that has made so many simulations."""
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
