"""Numbers that a user gives in Python, checked: compiled code and files take them as they are."""

from __future__ import annotations

import numbers
from typing import Any

from ddpzero.system.errors import UserError


def whole_number(name: str, value: Any, least: int) -> int:
    """Return the value as an int, also that of a numpy integer. Raises UserError if it is none, or too small.

    A bool is none: it is a slip where a number is asked for.
    """
    if (
        isinstance(value, numbers.Integral)
        and not isinstance(value, bool)
        and (number := int(value)) >= least
    ):
        return number
    raise UserError(f"{name}={value!r:.80} must be a whole number, {least} or more.")


def number_from_0(name: str, value: Any) -> float:
    """Return the value as a float. Raises UserError if it is no number, or below 0, or infinite."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        number = float(value)
        if 0.0 <= number < float("inf"):
            return number
    raise UserError(f"{name}={value!r:.80} must be a number, 0 or more.")
