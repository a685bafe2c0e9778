"""Lets Python look for garbage less often while numba compiles: otherwise it visits all modules again and again.

That is a tenth of the time. Called by compiled.py in every process.
"""

from __future__ import annotations

import gc

from numba.core import event

# New objects between two looks, instead of Python's 700. More would save little, and cost memory.
_NEW_OBJECTS = 10_000


def collect_less_while_compiling() -> None:
    """Install this in the process. Outside of numba the collector is as it was."""
    event.register("numba:compile", _Compilations())


class _Compilations(event.Listener):
    """Numba compiles functions within functions, in one thread at a time."""

    def __init__(self) -> None:
        self._depth = 0
        self._usual = gc.get_threshold()

    def on_start(self, event: event.Event) -> None:
        if self._depth == 0:
            self._usual = gc.get_threshold()
            if 0 < self._usual[0] < _NEW_OBJECTS:
                gc.set_threshold(_NEW_OBJECTS, *self._usual[1:])
        self._depth += 1

    def on_end(self, event: event.Event) -> None:
        self._depth -= 1
        if self._depth == 0:
            gc.set_threshold(*self._usual)
