"""How ddpzero compiles its inner loops.

`@compiled` is numba's `@njit` with three decisions, measured on the search of Connect Four:

- No reference counts: a call that takes an array would add and subtract atomically; seven times slower.
- Functions are inlined into the one that Python calls: a forest is 30 arrays, which would be copied at every call;
  twice as slow.
- No checks for division by zero.

What follows for the writer: no new arrays, lists or strings inside; `a[:] = b` for arrays is a loop (`copy_row`).
`@compiled(cache=True)` for functions that Python calls: they keep their machine code on disk, and are not inlined.
`@compiled_apart` for long functions that are called in several places: compiled once for all games, not inlined. They
must not take `rules`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from numba import njit

COMPILE_OPTIONS = {"_nrt": False, "error_model": "numpy"}
INLINE_OPTIONS = {**COMPILE_OPTIONS, "forceinline": True}


@overload
def compiled(function: Callable[..., Any], /) -> Callable[..., Any]: ...
@overload
def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...


def compiled(function=None, /, **options):
    """Compile a function for the inner loops; with options, those of numba's `njit`, it is not inlined."""
    if function is not None:
        return njit(**INLINE_OPTIONS)(function)
    return njit(**COMPILE_OPTIONS, **options)


def compiled_apart(function: Callable[..., Any], /) -> Callable[..., Any]:
    """See above."""
    return njit(**COMPILE_OPTIONS)(function)


@compiled
def copy_row(source, target):
    """Copy a 1-D array into another."""
    for index in range(source.shape[0]):
        target[index] = source[index]
