"""The kernel contract between board games and searches. The one for team games is in team_contract.py.

A game's rules are a *type* for numba: its name carries the parameters and a hash of the sources, its fields
(`rules.rows`) are compile-time constants, and the generic kernels below resolve to that game's functions. A search is
therefore written once, compiled to inlined code for each game, cached on disk across processes, and never stale.
Parameters that no loop depends on, such as komi, are fields that are read at run time: code is compiled once for all
their values.

Called by the search, the self-play loop and the tools. It knows no particular game.

Letters: P position_size, A num_actions, C num_planes, F num_globals, H x W board_shape, B board cells.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from numba.core import cgutils, types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    models,
    register_model,
    unbox,
)

from ddpzero.games.core.compiled import Choice, InnerFunction, compiled, compiled_apart, copy_row

# Parameter names of every kernel, filled by the decorators below.
KERNEL_PARAMETERS: dict[str, tuple[str, ...]] = {}
OPTIONAL_KERNEL_PARAMETERS: dict[str, tuple[str, ...]] = {}

# Kernels of the games loaded in this process, by type name. Numba asks for them only when it
# compiles: code that comes from the disk cache needs no entry here.
_kernels_by_type_name: dict[str, dict[str, InnerFunction]] = {}

# A game that is loaded again has the same functions, which need not be compiled again.
_compiled_once = cache(compiled)
_compiled_apart_once = cache(compiled_apart)

# The long kernels are not inlined: this saves a tenth of the compile time; a search is as fast.
_APART = {"initial_position", "legal_actions", "apply_action", "observe", "ownership"}


class RulesType(types.Type):
    """Numba's type of one game with fixed parameters.

    It is pickled into numba's cache index by name, constants and names of variables alone. An index that mentions a
    game from outside the tree can therefore be loaded by a process that cannot import that game.
    """

    def __init__(
        self, name: str, constants: tuple[tuple[str, int], ...], variables: tuple[str, ...]
    ):
        super().__init__(name)
        self.constants = constants
        self.variables = variables


class Rules:
    """A game's rules as a value that is passed to compiled functions.

    constants: values that kernels read as `rules.<name>` and that are compiled in; integers (a bool counts as 0 or 1).
    variables: values that kernels read in the same way and that are not compiled in; int64.
    kernels: the functions named in KERNEL_PARAMETERS, and those of OPTIONAL_KERNEL_PARAMETERS that the game has; plain
    or `@compiled`. They work in the arrays they are given and create none: see compiled.py. Functions that they call,
    including other kernels of the game, must be compiled.
    """

    # The attribute name that numba looks for: a call from Python that finds its type here takes a
    # third of the time of one with a registered type.
    __slots__ = ("_numba_type_", "values")

    def __init__(
        self,
        type_name: str,
        constants: dict[str, int],
        variables: dict[str, int],
        kernels: dict[str, Callable[..., Any]],
    ):
        self.values = tuple(map(int, variables.values()))
        _kernels_by_type_name[type_name] = {
            name: _inner_function(name, kernel)
            for name, kernel in {**_DEFAULT_KERNELS, **kernels}.items()
        }
        self._numba_type_ = RulesType(
            type_name,
            tuple((name, int(value)) for name, value in constants.items()),
            tuple(variables),
        )


def _inner_function(name: str, kernel: Callable[..., Any]) -> InnerFunction:
    if isinstance(kernel, InnerFunction):
        return kernel
    return _compiled_apart_once(kernel) if name in _APART else _compiled_once(kernel)


@register_model(RulesType)
class _RulesModel(models.StructModel):
    def __init__(self, manager, rules):
        super().__init__(manager, rules, [(name, types.int64) for name in rules.variables])


@unbox(RulesType)
def _unbox_rules(rules, instance, c):
    native = cgutils.create_struct_proxy(rules)(c.context, c.builder)
    if rules.variables:
        values = c.pyapi.object_getattr_string(instance, "values")
        for index, name in enumerate(rules.variables):
            value = c.pyapi.tuple_getitem(values, index)  # borrowed
            setattr(native, name, c.pyapi.long_as_longlong(value))
        c.pyapi.decref(values)
    return NativeValue(native._getvalue())


@infer_getattr
class _RulesAttribute(AttributeTemplate):
    key = RulesType

    def generic_resolve(self, rules, attribute):
        is_known = attribute in dict(rules.constants) or attribute in rules.variables
        return types.int64 if is_known else None


@lower_getattr_generic(RulesType)
def _lower_field(context, builder, rules, value, attribute):
    if attribute in rules.variables:
        return getattr(cgutils.create_struct_proxy(rules)(context, builder, value), attribute)
    return context.get_constant(types.int64, dict(rules.constants)[attribute])


def generic_kernels(
    kernel_parameters: dict[str, tuple[str, ...]],
) -> Callable[[Callable[..., Any]], Choice]:
    """Return a decorator that turns calls of the decorated function, in compiled code, into calls of a game's kernel.

    The kernel is the one with the name of the decorated function.
    kernel_parameters: the decorator adds the parameter names, keyed by the kernel's name.
    """

    def decorate(declaration: Callable[..., Any]) -> Choice:
        name = declaration.__name__
        kernel_parameters[name] = tuple(inspect.signature(declaration).parameters)

        def kernel_of(rules, *_):
            is_known = isinstance(rules, RulesType)
            return _kernels_by_type_name[rules.name].get(name) if is_known else None

        return Choice(name, kernel_of)

    return decorate


_required = generic_kernels(KERNEL_PARAMETERS)
_optional = generic_kernels(OPTIONAL_KERNEL_PARAMETERS)


def _no_globals(rules, position, globals):
    pass


def _copy_all(rules, source, target):
    copy_row(source, target)


def _no_score(rules, position):
    return 0


def _no_owners(rules, position, owners):
    pass


# Defaults of the optional kernels.
_DEFAULT_KERNELS: dict[str, Callable[..., Any]] = {
    "observe_globals": _no_globals,
    "copy_position": _copy_all,
    "score": _no_score,
    "ownership": _no_owners,
}


@_required
def initial_position(rules, position):
    """Write every entry of the start position into `position` `[P]`."""


@_required
def legal_actions(rules, position, legal):
    """Write every entry of `legal` `[A]` bool, True = legal; all False in a terminal position."""


@_required
def apply_action(rules, position, action):
    """Play a legal action, in place."""


@_required
def current_player(rules, position):
    """Return the player to move, 0 or 1; a player may move twice in a row. In a terminal position either is allowed."""


@_required
def is_terminal(rules, position):
    """Return whether the rules have ended the episode."""


@_required
def player_return(rules, position, player):
    """Return the result of `player` in a terminal position, in [-1, 1]; the two players' results sum to 0."""


@_required
def observe(rules, position, planes):
    """Write `planes` `[C * H * W]` uint8 0 or 1 from the mover's side; the caller has set them to zero."""


@_optional
def observe_globals(rules, position, globals):
    """Write every entry of `globals` `[F]` int8 from the mover's side: facts about the whole board, such as komi."""


@_optional
def copy_position(rules, source, target):
    """Copy a position. For games that use only the front of a long row, such as one that ends with a list of moves."""


@_optional
def score(rules, position):
    """Return the first player's points minus the second's in a terminal position, without komi.

    Needs max_score in the spec.
    """


@_optional
def ownership(rules, position, owners):
    """Write `owners` `[B]` int8 of a terminal position: 1 first player, -1 second player, 0 neither."""
