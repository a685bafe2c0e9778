"""UserError, for mistakes of the user, and the checks that raise it.

The message is a sentence with the dotted path or the file, the value given, what is allowed and what to do.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from pathlib import Path

from ddpzero import PACKAGE_DIR

# The exit codes of all programs in this package.
EXIT_CODE_OF_FAILURE = 1
EXIT_CODE_OF_USER_ERROR = 2

_PACKAGE = __package__.partition(".")[0]


class UserError(ValueError):
    """A mistake of the user. The message is shown without a traceback, and the program exits with code 2."""


def require(condition: bool, message: str) -> None:
    """Raise UserError with `message` (path, value, what is allowed, what to do) unless the condition holds."""
    if not condition:
        raise UserError(message)


def is_sentence_of_ours(error: BaseException) -> bool:
    """Return whether the message was written for people: an error class of this package, or a RuntimeError that it
    raised.
    """
    if type(error).__module__.partition(".")[0] == _PACKAGE:
        return True
    if type(error) is not RuntimeError:
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals.get("__name__", "").startswith(f"{_PACKAGE}.")


def in_one_line(error: BaseException) -> str:
    """Return the type and the text of an error of foreign code on one line: "KeyError: 'size'"."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def line_of(error: BaseException) -> str:
    """Return where foreign code raised the error, "my_algorithm.py, line 30".

    This is the innermost frame that is not in Python's library, an installed package or this package.
    """
    frames = traceback.extract_tb(error.__traceback__)
    known = (str(PACKAGE_DIR), os.path.dirname(os.__file__), "<")
    foreign = [
        frame
        for frame in frames
        if not frame.filename.startswith(known) and "-packages" not in frame.filename
    ]
    files = [frame for frame in frames if not frame.filename.startswith("<")]
    frame = (foreign or files or frames)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"


def require_at_most(path: str, settings: object, limits: Mapping[str, float]) -> None:
    """Raise UserError for the first field in `limits` whose value is above its limit; None is never above it."""
    for name, most in limits.items():
        value = getattr(settings, name)
        require(value is None or value <= most, f"{path}.{name}={value} must be at most {most:,}.")


def require_at_least(path: str, settings: object, limits: Mapping[str, float]) -> None:
    """Raise UserError for the first field in `limits` whose value is below its limit; None is never below it."""
    for name, least in limits.items():
        value = getattr(settings, name)
        require(
            value is None or value >= least, f"{path}.{name}={value} must be at least {least:g}."
        )
