"""How ddpzero compiles its inner loops.

`@compiled` is for functions that only compiled code calls, `@compiled(cache=True)` for those that Python calls and that
take `rules`: they keep their machine code on disk, and the type of the rules makes it stale when a source changes. Both
are numba's `njit` with some decisions, measured on searches and on self-play:

- No reference counts: a call that takes an array would add and subtract atomically; seven times slower.
- Functions are inlined into the one that Python calls: a forest is 30 arrays, which would be copied at every call;
  twice as slow.
- No checks for division by zero.
- Only what Python calls has an entry for Python: numba gives every function two, and inlines the function into both;
  two fifths of the time to compile.
- Signed integers are passed as int64: numba would compile a function anew for each width and for constants, a quarter
  of all functions.

What follows for the writer: no new arrays, lists or strings inside; `a[:] = b` for arrays is a loop (`copy_row`).
`@compiled_apart` for long functions that are called in several places or seldom: not inlined, optimised once. It is for
functions without a forest, or called once a move. Without `rules` a board's size is no constant in them: with all of
its board functions apart, a search of Go was a sixth slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from numba import njit
from numba.core import types
from numba.core.types.misc import unliteral
from numba.extending import models, register_model

from ddpzero.games.core.cache_folder import discard_unreadable_indexes, ensure_cache_folder

ensure_cache_folder()
discard_unreadable_indexes()

# All said: what is left out a function inherits from the one that calls it, inlining too.
_OPTIONS = {"_nrt": False, "error_model": "numpy", "forceinline": False, "no_cfunc_wrapper": True}
_INNER_OPTIONS = {**_OPTIONS, "no_cpython_wrapper": True}


class InnerFunction:
    """A function that only compiled code can call. Numba sees it by its type; Python sees `py_func`, its source."""

    __slots__ = ("_dispatcher", "_numba_type_", "py_func")

    def __init__(self, function: Callable[..., Any], *, is_inlined: bool):
        self.py_func = function
        self._dispatcher = njit(**{**_INNER_OPTIONS, "forceinline": is_inlined})(function)
        # The type refers to the dispatcher weakly.
        self._numba_type_ = InnerFunctionType(self._dispatcher)

    def __call__(self, *arguments: Any) -> Any:
        raise TypeError(
            f"{self.py_func.__name__} is for compiled code: what Python calls is @compiled(cache=True)."
        )


class InnerFunctionType(types.Dispatcher):
    """Numba's type of one inner function: settles how arguments are passed."""

    def get_call_type(self, context, args, kws):
        by_name = {name: _passed_as(argument) for name, argument in kws.items()}
        return super().get_call_type(context, tuple(map(_passed_as, args)), by_name)


register_model(InnerFunctionType)(models.OpaqueModel)


def _passed_as(argument: types.Type) -> types.Type:
    plain = unliteral(argument)
    return types.int64 if plain in types.signed_domain else plain


class Choice:
    """A call of it, in compiled code, is the call of the inner function that the types of the arguments ask for.

    choose: takes numba's types of the arguments; returns None for such as it does not know.
    """

    __slots__ = ("_name", "_numba_type_")

    def __init__(self, name: str, choose: Callable[..., InnerFunction | None]):
        self._name = name
        self._numba_type_ = ChoiceType(name, choose)

    def __call__(self, *arguments: Any) -> Any:
        raise TypeError(
            f"{self._name} is for compiled code: Python calls games/single.py, team_lockstep.py or a Search."
        )


class ChoiceType(types.Callable, types.Opaque):
    """Numba's type of one choice."""

    def __init__(self, name: str, choose: Callable[..., InnerFunction | None]):
        super().__init__(f"{choose.__module__}.{name}")
        self._choose = choose

    def get_call_type(self, context, args, kws):
        function = self._choose(*args)
        return None if function is None else function._numba_type_.get_call_type(context, args, kws)

    def get_call_signatures(self):
        return [], True

    def get_impl_key(self, sig):
        function = self._choose(*sig.args)
        assert function is not None, sig
        return function._numba_type_.get_impl_key(sig)


register_model(ChoiceType)(models.OpaqueModel)


@overload
def compiled(function: Callable[..., Any], /) -> InnerFunction: ...
@overload
def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...


def compiled(function=None, /, **options):
    """Compile a function for the inner loops; with options, those of numba's `njit`, Python can call it."""
    if function is not None:
        return InnerFunction(function, is_inlined=True)
    return njit(**_OPTIONS, **options)


def compiled_apart(function: Callable[..., Any], /) -> InnerFunction:
    """See above."""
    return InnerFunction(function, is_inlined=False)


@compiled
def copy_row(source, target):
    """Copy a 1-D array into another."""
    for index in range(source.shape[0]):
        target[index] = source[index]
