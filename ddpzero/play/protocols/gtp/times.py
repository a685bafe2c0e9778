"""What GTP's commands say about time, as the time of a side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ddpzero.play.clock import TimeControl
from ddpzero.play.protocols.gtp.lines import syntax_error

_MOST_SECONDS = 1e8
_UNLIMITED = TimeControl()


@dataclass(frozen=True)
class TimeSystem:
    """control: of each side. counts_periods: whether time_left names periods that are left, not moves to make."""

    control: TimeControl = _UNLIMITED
    counts_periods: bool = False


def gtp_times(arguments: Sequence[str]) -> TimeSystem:
    """Return what time_settings says: main time, the length of a period, moves in it. Raises Refused.

    A period without moves means no limit; no period means that the main time is all there is.
    """
    if len(arguments) != 3:
        raise syntax_error("time_settings takes main time, period time and moves of a period")
    main, period = _seconds(arguments[0]), _seconds(arguments[1])
    moves = _whole(arguments[2])
    if period > 0 and moves == 0:
        return TimeSystem()
    return TimeSystem(_canadian(main, period, moves if period > 0 else 0))


def named_times(arguments: Sequence[str], allows_fischer: bool) -> TimeSystem:
    """Return what kgs-time_settings or kata-time_settings says, which begins with the name of a system. Raises Refused.

    Of the periods of a byoyomi only one is counted on: the others are for a move that comes late.
    """
    kind, *numbers = arguments or [""]
    if kind == "none" and not numbers:
        return TimeSystem()
    if kind == "absolute" and len(numbers) == 1:
        return TimeSystem(TimeControl(game_seconds=_seconds(numbers[0])))
    if kind == "canadian" and len(numbers) == 3:
        return TimeSystem(
            _canadian(_seconds(numbers[0]), _seconds(numbers[1]), _positive(numbers[2]))
        )
    if kind == "byoyomi" and len(numbers) == 3:
        _positive(numbers[2])
        return TimeSystem(_canadian(_seconds(numbers[0]), _seconds(numbers[1]), 1), True)
    if allows_fischer and kind == "fischer" and len(numbers) == 2:
        main, increment = map(_seconds, numbers)
        return TimeSystem(TimeControl(game_seconds=main, increment_seconds=increment))
    fischer = ", fischer MAIN INCREMENT" if allows_fischer else ""
    raise syntax_error(
        "known are none, absolute MAIN, canadian MAIN PERIOD MOVES, byoyomi MAIN PERIOD PERIODS"
        + fischer
    )


def seconds_and_moves(seconds: str, moves: str) -> tuple[float, int]:
    """Return what time_left says. Raises Refused. Seconds may be negative, of a side that is late."""
    try:
        number = float(seconds)
    except ValueError:
        number = math.nan
    if not abs(number) <= _MOST_SECONDS:
        raise syntax_error(f"{seconds[:80]} is no number of seconds")
    return number, _whole(moves)


def _canadian(main: float, period: float, moves: int) -> TimeControl:
    if moves == 0 or period == 0:
        return TimeControl(game_seconds=main)
    return TimeControl(game_seconds=main, period_seconds=period, period_moves=moves)


def _seconds(text: str) -> float:
    seconds, _ = seconds_and_moves(text, "0")
    if seconds < 0:
        raise syntax_error(f"{text[:80]} is no time: 0 or more seconds")
    return seconds


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise syntax_error(f"{text[:80]} is not a whole number from 0 on")
    return int(text)


def _positive(text: str) -> int:
    number = _whole(text)
    if number == 0:
        raise syntax_error("at least 1 move or period is needed")
    return number
