"""Mistakes of the user, told in one sentence, and the checks that find them.

A sentence has the dotted path or the file, the value given, what is allowed and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping

# Of every program here.
EXIT_CODE_OF_FAILURE = 1
EXIT_CODE_OF_USER_ERROR = 2


class UserError(ValueError):
    """A mistake of the user's, told in one sentence: shown without traceback, and the program exits with code 2."""


def require(condition: bool, message: str) -> None:
    """Raise UserError with `message` (path, value, what is allowed, what to do) unless the condition holds."""
    if not condition:
        raise UserError(message)


def in_one_line(error: BaseException) -> str:
    """ "KeyError: 'size'": an error of somebody else's code, as a part of our sentence."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def require_at_most(path: str, settings: object, limits: Mapping[str, float]) -> None:
    """Raise UserError for the first of the fields named in `limits` whose value is above its limit; None is none."""
    for name, most in limits.items():
        value = getattr(settings, name)
        require(value is None or value <= most, f"{path}.{name}={value} must be at most {most:,}.")


def require_at_least(path: str, settings: object, limits: Mapping[str, float]) -> None:
    """The same for values below their limits."""
    for name, least in limits.items():
        value = getattr(settings, name)
        require(
            value is None or value >= least, f"{path}.{name}={value} must be at least {least:g}."
        )
