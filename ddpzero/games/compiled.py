"""How ddpzero compiles its inner loops.

`@compiled` is numba's `@njit` without reference counts and without checks for division by zero. Compiled code here
never allocates: it works in arrays that Python holds for longer than the call. With reference counts every call that
takes an array adds and subtracts atomically; the search of Connect Four ran seven times slower with them.

What follows for the writer: no new arrays, lists or strings inside; `a[:] = b` for arrays is a loop (`copy_row`).
`@compiled(cache=True)` for functions that Python calls: they keep their machine code on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from numba import njit

COMPILE_OPTIONS = {"_nrt": False, "error_model": "numpy"}


@overload
def compiled(function: Callable[..., Any], /) -> Callable[..., Any]: ...
@overload
def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...


def compiled(function=None, /, **options):
    """Compile a function for the inner loops; options are those of numba's `njit`."""
    decorate = njit(**COMPILE_OPTIONS, **options)
    return decorate if function is None else decorate(function)


@compiled
def copy_row(source, target):
    """Copy a 1-D array into another."""
    for index in range(source.shape[0]):
        target[index] = source[index]
