"""The time that a side has for its moves, and how much of it the next move may take.

A clock knows seconds per move, a budget for the whole game with an increment, or overtime as in Go: after the main time
so many moves in each period. What a clock allows is always a little less than what is left: a move must also be sent.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from dataclasses import dataclass

from ddpzero.system.errors import require

# Of what is left: for sending the move, and for a look at the clock that comes late.
LAG_SECONDS = 0.03
_LAG_SHARE = 0.02
# Moves that ended later than planned: so many are remembered, the latest of them is an accident, and the one after it
# counts with this factor, up to this part of the time in question.
_REMEMBERED_MOVES = 20
_LAG_FACTOR = 1.5
_MOST_LAG_SHARE = 1 / 3
# The longest games have so many times the moves that `moves_to_come` says.
_MORE_MOVES = 2.5
# Nobody has measured yet what sending the moves of a game costs: this part of its time at most is kept for it.
_MOST_SENDING_SHARE = 0.05
# A hard decision may take so many times its share, but never more than this part of what is left.
_MOST_SHARES = 2.0
_MOST_OF_LEFT = 0.12
_LEAST_MOVES_LEFT = 12.0
# Games of five in a row end on boards that are a third full, games of Go on full ones.
_CELLS_SHARE = 0.2


@dataclass(frozen=True)
class TimeControl:
    """The time of one side. None everywhere: unlimited.

    move_seconds: for each move. game_seconds: for all moves, increment_seconds: added after each of them.
    period_seconds, period_moves: after game_seconds, the time of each period and the moves to make in it (Canadian
    overtime, as in GTP's time_settings).
    Raises UserError for times that are negative or contradict each other.
    """

    move_seconds: float | None = None
    game_seconds: float | None = None
    increment_seconds: float = 0.0
    period_seconds: float = 0.0
    period_moves: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            require(value is None or 0 <= value < 1e9, f"{name}={value} is no time: 0 or more.")
        require(
            self.game_seconds is not None or self.increment_seconds == self.period_moves == 0,
            "an increment or a period needs a time for the game: give it, even if it is 0.",
        )
        require(
            (self.period_seconds > 0) == (self.period_moves > 0),
            f"period_seconds={self.period_seconds:g} and period_moves={self.period_moves}: both or none.",
        )

    @property
    def is_unlimited(self) -> bool:
        return self.move_seconds is None and self.game_seconds is None


@dataclass(frozen=True)
class Allowance:
    """Seconds for a move: its usual share, and the most that a hard one may take. None: unlimited."""

    usual: float | None
    most: float | None


class Lag:
    """How long before its time is up a move should end: more on a busy machine, where moves end later than planned.

    least_seconds: in any case.
    """

    def __init__(self, least_seconds: float = LAG_SECONDS) -> None:
        self.least_seconds = least_seconds
        self._late: deque[float] = deque(maxlen=_REMEMBERED_MOVES)

    def learn(self, late_seconds: float) -> None:
        """A move ended so much later than planned; earlier if negative."""
        self._late.append(max(0.0, late_seconds))

    def of_move(self, seconds: float) -> float:
        """Return what to keep of the time of one move. A single late move costs nothing."""
        latest = sorted(self._late)[-2:]
        learned = _LAG_FACTOR * latest[0] if len(latest) == 2 else 0.0
        return self.least_seconds + min(learned, _MOST_LAG_SHARE * max(0.0, seconds))

    def of_moves(self, num_moves: float, seconds: float) -> float:
        """Return what to keep of the time of so many moves: what they usually took beyond their plan, and for sending.

        Few of them are as late as one may be, but there may be more of them.
        """
        usual = statistics.median(self._late) if self._late else 0.0
        sending = min(self.least_seconds * num_moves, _MOST_SENDING_SHARE * max(0.0, seconds))
        return max(_MORE_MOVES * usual * num_moves + sending, self.of_move(seconds))


class Clock:
    """The time that one side has left. `start` and `stop` are called around its moves.

    lag: what is known of this machine, shared by the clocks of one game after the other; None: a new one.
    """

    def __init__(self, control: TimeControl, lag: Lag | None = None) -> None:
        self.control = control
        self.lag = lag or Lag()
        self.seconds_left = control.game_seconds or 0.0
        # In the current period; 0: the main time goes on.
        self.moves_left = 0
        self._started: float | None = None
        # When the move under way should end; None: it is not limited.
        self._planned: float | None = None
        self._begin_period_if_due()

    def start(self, at: float | None = None) -> None:
        """This side begins to think about its move. at: when it was asked to, on time.monotonic; None: now."""
        self._started = time.monotonic() if at is None else at
        self._planned = None

    def stop(self) -> None:
        """This side has made its move."""
        if self._started is None:
            return
        now = time.monotonic()
        seconds, self._started = now - self._started, None
        if self._planned is not None:
            self.lag.learn(now - self._planned)
        if self.control.game_seconds is None:
            return
        self.seconds_left += self.control.increment_seconds - seconds
        if self.moves_left > 0:
            self.moves_left -= 1
            if self.moves_left == 0:
                self.seconds_left = 0.0
        self._begin_period_if_due()

    def set_left(self, seconds: float, moves: int = 0) -> None:
        """Believe another clock. moves: to make in so many seconds; 0: this is the main time."""
        self.seconds_left, self.moves_left = seconds, moves

    @property
    def seconds_left_now(self) -> float | None:
        """What is left, without the move under way; None: there is no time for the game."""
        return self._left_now()

    @property
    def has_expired(self) -> bool:
        """Whether the time is up, as this clock knows it now."""
        left = self.seconds_to_loss
        return left is not None and left < 0

    @property
    def seconds_to_loss(self) -> float | None:
        """Until the time is up, if the move under way is not made; None: there is no time for the game."""
        left = self._left_now()
        if left is None:
            return None
        return left + (self.control.period_seconds if self.moves_left == 0 else 0.0)

    def allowance(self, moves_to_come: float) -> Allowance:
        """Return how long the next move may take. moves_to_come: that this side will still make, with this one."""
        limits = [self._of_move(), self._of_game(moves_to_come)]
        usual = [limit.usual for limit in limits if limit.usual is not None]
        most = [limit.most for limit in limits if limit.most is not None]
        allowance = Allowance(min(usual, default=None), min(most, default=None))
        self.plan(allowance.usual)
        return allowance

    def plan(self, seconds: float | None) -> None:
        """The move under way is to end so many seconds from now; None: it is not limited."""
        self._planned = None if seconds is None else time.monotonic() + seconds

    def _of_move(self) -> Allowance:
        seconds = self.control.move_seconds
        if seconds is None:
            return Allowance(None, None)
        left = max(0.0, self._without_lag(seconds) - self._thought())
        return Allowance(left, left)

    def _of_game(self, moves_to_come: float) -> Allowance:
        left = self._left_now()
        if left is None:
            return Allowance(None, None)
        if self.moves_left > 0:
            share = self._without_lag(left, self.moves_left) / self.moves_left
            return Allowance(share, min(2 * share, self._without_lag(left)))
        control = self.control
        moves = max(moves_to_come, _LEAST_MOVES_LEFT)
        # A move that ends after the main time has its share of the first period.
        overtime = self._without_lag(control.period_seconds / max(control.period_moves, 1))
        usable = self._without_lag(left, moves) + overtime
        share = min(usable, max(usable / moves, overtime) + 0.9 * control.increment_seconds)
        most = (
            _MOST_SHARES * share
            if overtime > 0
            else min(_MOST_SHARES * share, _MOST_OF_LEFT * usable)
        )
        return Allowance(share, min(usable, max(share, most)))

    def _without_lag(self, seconds: float, moves: float = 1.0) -> float:
        """Return what is left of some seconds when so many moves were also sent."""
        lag = self.lag.of_move(seconds) if moves <= 1 else self.lag.of_moves(moves, seconds)
        return max(0.0, seconds * (1.0 - _LAG_SHARE) - lag)

    def _left_now(self) -> float | None:
        if self.control.game_seconds is None:
            return None
        return self.seconds_left - self._thought()

    def _thought(self) -> float:
        """Return the seconds of the move under way."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    def _begin_period_if_due(self) -> None:
        if self.control.period_moves > 0 and self.moves_left == 0 and self.seconds_left <= 0:
            # What was used beyond the main time is of the first period.
            self.seconds_left += self.control.period_seconds
            self.moves_left = self.control.period_moves


def moves_to_come(num_cells: int, num_plies: int) -> float:
    """Return for how many moves each side should keep time on a board of so many cells after so many plies.

    Fewer than a long game has: each move takes its part of what is left, so that the time never ends, while most of it
    would be left at the end of a short game.
    """
    return max(_LEAST_MOVES_LEFT, _CELLS_SHARE * (num_cells - num_plies))
