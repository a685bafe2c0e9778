"""The types of the arguments of `ddpzero`: each converts a text, or raises argparse's error with a sentence.

Used by arguments.py; imports only argparse.
"""

from __future__ import annotations

import argparse
import os
import re

# Integers in compiled code have 64 bits. Ten days is more than a benchmark or a delay between moves needs.
_MOST = 2**63 - 1
_MOST_SECONDS = 10 * 24 * 3600

_DURATION = re.compile(r"(\d{1,7}(?:\.\d{1,6})?)([hms]?)", re.ASCII)
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}


def path(text: str) -> str:
    """Return a path; expand a leading ~ that the shell did not expand; names of players contain none."""
    return os.path.expanduser(name(text))


def name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is an empty name")
    return text


def names(text: str) -> list[str]:
    return [name(part) for part in text.split(",")]


def positive(text: str) -> int:
    return _whole_number(text, at_least=1)


def not_negative(text: str) -> int:
    return _whole_number(text, at_least=0)


def even(text: str) -> int:
    if not (_is_number(text) and int(text) >= 2 and int(text) % 2 == 0):
        raise argparse.ArgumentTypeError(
            f"{text[:80]!r} is not an even number of at least 2 (each start is played twice, with sides swapped)"
        )
    return int(text)


def numbers(text: str) -> list[int]:
    return [not_negative(part) for part in text.split(",")]


def positives(text: str) -> list[int]:
    return [positive(part) for part in text.split(",")]


def bounds(text: str) -> tuple[int, int]:
    """Return the numbers of "10-30", or of "10", which stands for "10-10"."""
    least, _, most = text.partition("-")
    numbers = not_negative(least), not_negative(most or least)
    if numbers[0] > numbers[1]:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} begins with the larger number")
    return numbers


def _whole_number(text: str, at_least: int) -> int:
    if not (_is_number(text) and at_least <= int(text)):
        is_large = text.isascii() and text.isdecimal() and int(text[:80]) > _MOST
        allowed = f"of at most {_MOST}" if is_large else f"of at least {at_least}"
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a whole number {allowed}")
    return int(text)


def _is_number(text: str) -> bool:
    digits_only = text.isascii() and text.isdecimal() and len(text) <= len(str(_MOST))
    return digits_only and int(text) <= _MOST


def level(text: str) -> int:
    if not (_is_number(text) and 1 <= int(text) <= 9):
        raise argparse.ArgumentTypeError(
            f"{text[:80]!r} is not a level from 1 (weakest) to 9 (full strength)"
        )
    return int(text)


def game_time(text: str) -> tuple[float, float]:
    """Return the seconds of a game and those that each move adds: (300, 3) for "5m+3s"; without a unit, seconds."""
    parts = text.split("+")
    times = [_DURATION.fullmatch(part) for part in parts]
    seconds = [float(time[1]) * _UNITS[time[2]] for time in times if time]
    if len(seconds) != len(parts) or len(parts) > 2 or max(seconds) > _MOST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text[:80]!r} is not a time for a game: write 5m, 300s or 1h, with an increment 5m+3s"
        )
    return seconds[0], seconds[1] if len(seconds) == 2 else 0.0


def seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text[:80]!r} is not a number of seconds from 0 to {_MOST_SECONDS}"
        )
    return seconds
