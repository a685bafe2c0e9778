"""Stacks of the searches that prove values. A forest allocates those that are used; code for others is not compiled."""

from __future__ import annotations

from typing import Any, TypeVar

from ddpzero.games.core.compiled import Choice, InnerFunction, compiled
from ddpzero.system.memory import Layout, empty_arrays

_Stack = TypeVar("_Stack")


def new_stack(kind: type[_Stack], layout: Layout) -> _Stack:
    """Allocate a stack, a NamedTuple of arrays, with zeros."""
    arrays = empty_arrays(layout)
    for array in arrays.values():
        array.fill(0)
    return kind(**arrays)


def choose_by_stack(name: str, field: str, kind: type, prove: InnerFunction) -> Choice:
    """Return a callable for compiled code: `prove` in forests whose `field` is a `kind`, in others always False.

    It is called with (rules, forest, config, slot, node), and so is `prove`, which returns whether it found a value.
    """

    def choose(rules: Any, forest: Any, *_: Any) -> InnerFunction:
        stack = forest.types[forest.fields.index(field)]
        return prove if _kind(stack) is kind else _prove_nothing

    return Choice(name, choose)


@compiled
def _prove_nothing(rules, forest, config, slot, node):
    return False


@compiled
def _always(stack):
    return True


@compiled
def _never(stack):
    return False


@compiled
def _count_met(stack):
    return stack.counts[2]


@compiled
def _count_nothing(stack):
    return 0


def _kind(stack: Any) -> type | None:
    """Return the class of a stack by its numba type; None without a stack."""
    return getattr(stack, "instance_class", None)


# may_prove(stack): whether there is a stack, and so a search that may prove something; a constant in compiled code.
may_prove = Choice("may_prove", lambda stack: _always if _kind(stack) else _never)

# positions_met(stack): by all searches with this stack so far; 0 without one.
positions_met = Choice(
    "positions_met", lambda stack: _count_met if _kind(stack) else _count_nothing
)
