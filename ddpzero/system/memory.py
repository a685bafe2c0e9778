"""Compares the memory that a run, a match or a benchmark will use with the free memory, before it is allocated.

np.empty succeeds for any size that the kernel can promise; the process is killed later, when it fills the array. So
code that allocates states its needs first: arrays as a Layout, everything else as a number of bytes. Sizes are Python
integers, which never overflow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ddpzero.system.errors import UserError
from ddpzero.system.machine import Memory, usable_memory

# Names of arrays with their shapes and dtypes.
Layout = dict[str, tuple[tuple[int, ...], Any]]

_GIB = 2**30


class Factor(NamedTuple):
    """A setting that a need is proportional to.

    key: dotted path of a setting, an option ("--games ") or a name ("rollout:"), with the text before the value.
    usual: the default. Messages name the factor with the largest ratio of value to usual.
    """

    key: str
    value: float
    usual: float

    def __str__(self) -> str:
        """Return the setting as it is typed."""
        separator = "" if self.key.endswith((" ", ":")) else "="
        value = str(self.value) if isinstance(self.value, int) else f"{self.value:g}"
        return f"{self.key}{separator}{value}"


@dataclass(frozen=True)
class Need:
    """Memory that one rank and its actors will use.

    factors: the settings that it is proportional to. is_slow: whether it fills only over hours.
    on_gpu: whether it is the GPU's memory, not the machine's. of_actors: whether it is that of the GPU on which actors
    evaluate, which may be another one than the learner's. once_if_shared: whether one process needs it instead of every
    actor, if a rank's evaluator evaluates for all of them.
    """

    what: str
    size_bytes: int
    factors: tuple[Factor, ...]
    is_slow: bool = False
    on_gpu: bool = False
    of_actors: bool = False
    once_if_shared: bool = False

    @property
    def main_factor(self) -> Factor:
        return max(self.factors, key=lambda factor: factor.value / factor.usual)

    def grows_with(self, key: str) -> bool:
        return any(factor.key == key for factor in self.factors)


def layout_size_bytes(layout: Layout) -> int:
    """Return the total size of a layout's arrays."""
    return sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in layout.values())


def empty_arrays(layout: Layout) -> dict[str, np.ndarray]:
    """Return uninitialized arrays for a layout, by name."""
    return {name: np.empty(shape, dtype) for name, (shape, dtype) in layout.items()}


def check_memory(
    needs: Sequence[Need], memory: Memory, num_ranks: int = 1, where: str = "this machine"
) -> str:
    """Compare the needs of `num_ranks` ranks on one machine with its memory; return a warning, or "".

    Raises UserError if all needs exceed the machine's limit, or if the immediate ones exceed the free memory.
    """
    total = num_ranks * sum(need.size_bytes for need in needs)
    at_once = num_ranks * sum(need.size_bytes for need in needs if not need.is_slow)
    if total <= memory.free_bytes:
        return ""
    is_impossible = total > memory.limit_bytes or at_once > memory.free_bytes
    room = memory.free_bytes if at_once > memory.free_bytes else memory.limit_bytes
    largest = max(needs, key=lambda need: need.size_bytes)
    factor = largest.main_factor
    size_bytes = num_ranks * largest.size_bytes
    others = total - size_bytes
    needed = (
        f"{factor} needs {_gib(size_bytes)} GiB "
        + (f"({num_ranks} ranks) " if num_ranks > 1 else "")
        + largest.what
        + (f", and the rest of the run {_gib(others)} GiB," if others > room / 100 else "")
        + f" on {where}, which has {_gib(memory.free_bytes)} GiB free for ddpzero"
    )
    if not is_impossible:
        return (
            f"{needed}: if other programs keep the memory that they use now, the run will be killed when that fills "
            f"up. Lower {factor.key.strip()}."
        )
    growing = num_ranks * sum(need.size_bytes for need in needs if need.grows_with(factor.key))
    fitting = math.floor(factor.value * max(0, room - (total - growing)) / growing)
    remedy = f"lower it to {fitting} at most" if fitting >= 1 else "lower it"
    raise UserError(f"{needed}: {remedy}, or use a machine with more memory.")


def require_memory(
    what: str, size_bytes: int, factors: Iterable[Factor], share: float = 0.9
) -> None:
    """Raise UserError unless `size_bytes` fit into the given share of the free memory. what, factors: see Need."""
    memory = usable_memory()
    usable = Memory(memory.limit_bytes, int(share * memory.free_bytes))
    check_memory([Need(what, size_bytes, tuple(factors))], usable)


def largest_fitting(size_bytes_of: Callable[[int], int], at_most: int, budget_bytes: float) -> int:
    """Return the largest power of two, or `at_most` itself, whose size is within the budget; 1 if none is."""
    if size_bytes_of(at_most) <= budget_bytes:
        return at_most
    count = 1
    while 2 * count < at_most and size_bytes_of(2 * count) <= budget_bytes:
        count *= 2
    return count


def _gib(size_bytes: float) -> str:
    gib = size_bytes / _GIB
    return f"{gib:,.1f}" if gib < 1e9 else f"{gib:.1e}"
