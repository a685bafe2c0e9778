"""Finds where two nested configs differ: between ranks of one run, and between a run and its earlier config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()


class Difference(NamedTuple):
    """A leaf that differs. path: dotted. one, other: the two values; ABSENT where the key is missing."""

    path: str
    one: Any
    other: Any


def differences(
    one: Mapping[str, Any], other: Mapping[str, Any], path: str = ""
) -> Iterator[Difference]:
    """Yield every leaf in which two nested dicts differ, in the order of `one`; then the keys that only `other` has."""
    for key in [*one, *(key for key in other if key not in one)]:
        here = f"{path}.{key}" if path else str(key)
        a, b = one.get(key, ABSENT), other.get(key, ABSENT)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from differences(a, b, here)
        elif a is ABSENT or b is ABSENT or a != b:
            yield Difference(here, a, b)
