"""Writes JSON that every reader accepts, with null for NaN and infinities. For all JSON that leaves the program.

Messages between this program's processes do not use it: there NaN must stay NaN. Imports only the standard library.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def json_text(value: Any, indent: int | None = None) -> str:
    """Return the JSON of nested dicts, lists and tuples of plain values; indent: of json.dumps, None for one line."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    """Return the value with None in place of NaN and infinities."""
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
