"""A player at a board: it knows the game so far, thinks about the position, and says what it would play.

Used by everything in which a person or another program plays: the terminal, the page, GTP, Gomocup, reviews. It belongs
to one thread at a time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ddpzero.games import Game
from ddpzero.games.core.player_errors import errors_of_player
from ddpzero.games.core.players import Player, Thoughts
from ddpzero.play.episode import PlayedEpisode
from ddpzero.play.thinkers import thinker_of

# Simulations between two looks at the clock: as many as take so long, doubled at most from one look to the next.
_SECONDS_BETWEEN_LOOKS = 0.01
_MOST_SECONDS_BETWEEN_LOOKS = 0.02
_FIRST_SIMULATIONS = 4


@dataclass(frozen=True)
class Limits:
    """When thinking about a position ends: at the first of these; None: not for this reason.

    simulations: in the tree, those of earlier positions included. seconds: of this call. is_early: also as soon as no
    other move could be the most visited one within the limits.
    """

    simulations: int | None = None
    seconds: float | None = None
    is_early: bool = False


def use_one_thread() -> None:
    """Let torch use one thread in this process, which is for a program that plays.

    A search of one position evaluates a few leaves at a time: too little for several threads, which beside other work
    wait for each other far longer than they compute.
    """
    torch.set_num_threads(1)


class Engine:
    """See above.

    episode: the game so far, which only `play`, `undo` and `set_up` change.
    """

    def __init__(self, player: Player, game: Game, max_simulations: int) -> None:
        """max_simulations: the most of one position. Raises UserError for a player that only chooses moves."""
        self.player = player
        self.game = game
        self.episode = PlayedEpisode(game)
        self._thinker = thinker_of(player, game, max_simulations)
        self._is_begun = False
        self._bans: np.ndarray | None = None
        # By the number of moves before: the player to move, and the result that it expected.
        self._expected: dict[int, tuple[int, float]] = {}

    @property
    def expected(self) -> list[tuple[int, float]]:
        """The results that were expected at the moves of this game: the player to move, and its result in [-1, 1].

        Only of positions that it thought about, in the order of the game.
        """
        return [self._expected[plies] for plies in sorted(self._expected)]

    @property
    def position(self) -> np.ndarray:
        return self.episode.position

    @property
    def max_simulations(self) -> int:
        """The most simulations of one position."""
        return self._thinker.max_simulations

    def set_up(self, actions: Sequence[int] = ()) -> None:
        """Begin a game with these moves. Raises ValueError, and changes nothing, if one of them is not legal."""
        episode = PlayedEpisode(self.game)
        for action in actions:
            episode.play(action)
        self.episode = episode
        self._is_begun, self._bans = False, None
        self._expected = {}

    def play(self, action: int) -> None:
        """Make a move for the player to move. Raises ValueError if it is not legal."""
        self.episode.play(action)
        self._bans = None
        if self._is_begun and not self.episode.is_over:
            self._thinker.advance(action)
        else:
            self._is_begun = False

    def undo(self) -> bool:
        """Take back the last move; return whether there was one."""
        self._is_begun, self._bans = False, None
        self._expected.pop(len(self.episode.actions), None)
        return self.episode.take_back_last()

    def ban(self, bans: np.ndarray | None) -> None:
        """Leave out actions when thinking about this position, which is not terminal; None: none of them.

        bans: `[D, 2, A]` bool, those of each player in the first D plies. They end with the next move, or undo. What
        is known of the position is forgotten. Raises UserError for a player that cannot leave out any.
        """
        if bans is not None or self._bans is not None:
            self._thinker.begin(self.position, bans)
            self._bans, self._is_begun = bans, True

    def think(
        self,
        limits: Limits,
        is_stopped: Callable[[], bool] = lambda: False,
        on_thoughts: Callable[[Thoughts], None] | None = None,
        interval_seconds: float = 0.1,
    ) -> Thoughts:
        """Think about the position, which is not terminal, and return what was found.

        is_stopped: asked a few dozen times a second. on_thoughts: called with what was found so far, first as soon as
        the position itself is evaluated and then at these intervals. Raises PlayerError for a player that fails.
        """
        started = told = time.perf_counter()
        seconds = math.inf if limits.seconds is None else limits.seconds
        thinker, chunk = self._thinker, _FIRST_SIMULATIONS
        with errors_of_player(self.player.name):
            if not self._is_begun:
                thinker.begin(self.position, self._bans)
                self._is_begun = True
            begun_with = thinker.visits
            goes_on = thinker.think(0)
            if on_thoughts is not None:
                on_thoughts(thinker.thoughts())
            while goes_on and not is_stopped():
                looked = time.perf_counter()
                left = self._simulations_left(limits, begun_with, looked - started)
                if left <= 0 or (limits.is_early and self._is_decided(left)):
                    break
                deadline = min(looked + _MOST_SECONDS_BETWEEN_LOOKS, started + seconds)
                goes_on = thinker.think(min(chunk, left), deadline)
                now = time.perf_counter()
                if now - looked < _SECONDS_BETWEEN_LOOKS:
                    chunk *= 2
                elif now - looked > _MOST_SECONDS_BETWEEN_LOOKS:
                    chunk = max(1, chunk // 2)
                if on_thoughts is not None and now - told >= interval_seconds:
                    told = now
                    on_thoughts(thinker.thoughts())
            thoughts = thinker.thoughts()
        self._expected[len(self.episode.actions)] = self.episode.current_player, thoughts.value
        return thoughts

    def _simulations_left(self, limits: Limits, begun_with: int, seconds: float) -> int:
        """Return how many simulations the limits allow, at the rate of the last so many seconds.

        begun_with: the simulations that the tree had before them.
        """
        visits = self._thinker.visits
        left = self.max_simulations - visits
        if limits.simulations is not None:
            left = min(left, limits.simulations - visits)
        if limits.seconds is not None:
            rate = (visits - begun_with) / seconds if visits > begun_with else math.inf
            seconds_left = limits.seconds - seconds
            left = 0 if seconds_left <= 0 else min(left, math.ceil(min(rate * seconds_left, left)))
        return left

    def _is_decided(self, left: int) -> bool:
        """Return whether the most visited move stays so if all simulations that are left go to another one."""
        if self._thinker.visits <= left:
            return False
        # A move that had the most visits until it was proven to lose competes no longer.
        moves = [move for move in self._thinker.thoughts().moves if not move.is_lost]
        visits = sorted((move.visits for move in moves), reverse=True)
        return len(visits) < 2 or visits[0] - visits[1] > left
