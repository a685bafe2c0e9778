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


@compiled
def prove_nothing(rules, forest, config, slot, node):
    return False


@compiled
def count_nothing(rules, forest):
    return 0


@compiled
def always(rules, forest):
    return True


@compiled
def never(rules, forest):
    return False


def choose_by_stack(
    name: str, field: str, kind: type, prove: InnerFunction, otherwise: InnerFunction
) -> Choice:
    """Return a callable for compiled code: `prove` in forests whose `field` is a `kind`, in others `otherwise`.

    Both are called with (rules, forest, ...).
    """

    def choose(rules: Any, forest: Any, *_: Any) -> InnerFunction:
        stack = forest.types[forest.fields.index(field)]
        return prove if getattr(stack, "instance_class", None) is kind else otherwise

    return Choice(name, choose)
