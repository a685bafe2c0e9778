"""Compiles ddpzero's inner loops.

Use `@compiled` for functions that only compiled code calls. Use `@compiled(cache=True)` for functions that Python calls
and that take `rules`: their machine code is cached on disk, and the type of the rules makes the cache stale when a
source changes. Both are numba's `njit` with options that were chosen by measuring searches and self-play:

- No reference counts. A call that takes an array would otherwise add and subtract atomically; that is seven times
slower.
- Functions are inlined into the one that Python calls. A forest is 30 arrays, which would otherwise be copied at every
call; that is twice as slow.
- No checks for division by zero.
- Only functions that Python calls have an entry point for Python. Numba otherwise generates two for every function and
inlines the function into both; that costs two fifths of the compile time.
- Signed integers are passed as int64. Numba would otherwise compile a function anew for each width and for constants;
these are a quarter of all functions.

Compiled code therefore creates no arrays, lists or strings, and copies arrays in a loop (`copy_row`) instead of by
`a[:] = b`. Use `@compiled_apart` for long functions that are called rarely or from several places: they are not
inlined, and are optimized once. It suits functions that take no forest or are called once per move. Without `rules`,
the board size is not a constant in them: with all board functions of Go compiled apart, a search was a sixth slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from numba import njit
from numba.core import types
from numba.core.types.misc import unliteral
from numba.extending import models, register_model

from ddpzero.games.core.cache_folder import discard_unreadable_indexes, ensure_cache_folder
from ddpzero.games.core.compile_once import compile_once
from ddpzero.games.core.fewer_collections import collect_less_while_compiling
from ddpzero.games.core.inner_code import InnerCompiler

ensure_cache_folder()
discard_unreadable_indexes()
compile_once()
collect_less_while_compiling()

# Set every option explicitly: a function inherits missing options from its caller, even inlining.
_OPTIONS = {"_nrt": False, "error_model": "numpy", "forceinline": False, "no_cfunc_wrapper": True}
_INNER_OPTIONS = {**_OPTIONS, "no_cpython_wrapper": True}


class InnerFunction:
    """A function that only compiled code can call. Numba uses its type; Python can reach the source, `py_func`."""

    __slots__ = ("_dispatcher", "_numba_type_", "py_func")

    def __init__(self, function: Callable[..., Any], *, is_inlined: bool):
        self.py_func = function
        self._dispatcher = njit(
            **{**_INNER_OPTIONS, "forceinline": is_inlined}, pipeline_class=InnerCompiler
        )(function)
        # The type holds only a weak reference to the dispatcher.
        self._numba_type_ = InnerFunctionType(self._dispatcher)

    def __call__(self, *arguments: Any) -> Any:
        raise TypeError(
            f"{self.py_func.__name__} is for compiled code: what Python calls is @compiled(cache=True)."
        )


class InnerFunctionType(types.Dispatcher):
    """Numba's type of one inner function. It decides how arguments are passed."""

    def get_call_type(self, context, args, kws):
        by_name = {name: _passed_as(argument) for name, argument in kws.items()}
        return super().get_call_type(context, tuple(map(_passed_as, args)), by_name)


register_model(InnerFunctionType)(models.OpaqueModel)


def _passed_as(argument: types.Type) -> types.Type:
    plain = unliteral(argument)
    return types.int64 if plain in types.signed_domain else plain


class Choice:
    """A callable that compiled code resolves, by the types of the arguments, to an inner function.

    choose: takes numba's types of the arguments; returns None for types that it does not know.
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
    """Numba's type of one Choice."""

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
    """Compile a function for the inner loops. With options, which are those of numba's `njit`, Python can call it."""
    if function is not None:
        return InnerFunction(function, is_inlined=True)
    return njit(**_OPTIONS, **options)


def compiled_apart(function: Callable[..., Any], /) -> InnerFunction:
    """Compile a function for the inner loops without inlining it; see the module's docstring."""
    return InnerFunction(function, is_inlined=False)


@compiled
def copy_row(source, target):
    """Copy a 1-D array into another."""
    for index in range(source.shape[0]):
        target[index] = source[index]
