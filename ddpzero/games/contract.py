"""The kernel contract that joins every game to every search.

A game's rules are a *type* for numba: its name carries the parameters and a hash of the sources, its fields
(`rules.rows`) are compile-time constants, and the generic kernels below resolve to that game's functions. So a
search is written once, compiled to inlined code per game, cached on disk across processes, and never stale.

Called by the search, the self-play loop and the tools; it never knows a particular game.

Letters: P position_size, A num_actions, C num_planes, H x W board_shape.

    initial_position(rules, position)            write the start position into `position` [P]
    legal_actions(rules, position, legal)        write `legal` [A] bool, True = legal; all False when terminal
    apply_action(rules, position, action)        play a legal action, in place
    current_player(rules, position) -> int       0 or 1: who moves; the same player may move twice running
    is_terminal(rules, position) -> bool         the rules have ended the game
    player_return(rules, position, player) -> float   result in [-1, 1] of a terminal position
    observe(rules, position, planes)             write `planes` [C * H * W] uint8 0/1, zeroed before, mover's side
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from numba.core import types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    models,
    register_model,
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    overload,
    typeof_impl,
    unbox,
)

KERNEL_PARAMETERS = MappingProxyType(
    {
        "initial_position": ("rules", "position"),
        "legal_actions": ("rules", "position", "legal"),
        "apply_action": ("rules", "position", "action"),
        "current_player": ("rules", "position"),
        "is_terminal": ("rules", "position"),
        "player_return": ("rules", "position", "player"),
        "observe": ("rules", "position", "planes"),
    }
)

# Kernels of the games loaded in this process, by type name. Numba asks only when it compiles: code that comes
# from the disk cache needs no entry here.
_kernels_by_type_name: dict[str, dict[str, Callable[..., Any]]] = {}


class RulesType(types.Type):
    """Numba's type of one game with fixed parameters.

    Pickled into numba's cache index by name and constants alone, so an index that mentions a game from outside
    the tree loads in a process that cannot import that game.
    """

    def __init__(self, name: str, constants: tuple[tuple[str, int], ...]):
        super().__init__(name)
        self.constants = constants


class Rules:
    """A game's rules as a value to pass to compiled functions; all its information is in its numba type.

    constants: what kernels read as `rules.<name>`; integers (a bool counts as 0 or 1).
    kernels: the functions named in KERNEL_PARAMETERS, plain or decorated with `@njit`.
    """

    __slots__ = ("numba_type",)

    def __init__(
        self, type_name: str, constants: dict[str, int], kernels: dict[str, Callable[..., Any]]
    ):
        _kernels_by_type_name[type_name] = {
            name: getattr(kernel, "py_func", kernel) for name, kernel in kernels.items()
        }
        self.numba_type = RulesType(
            type_name, tuple((name, int(value)) for name, value in constants.items())
        )


@typeof_impl.register(Rules)
def _typeof_rules(value, context):
    return value.numba_type


@register_model(RulesType)
class _RulesModel(models.OpaqueModel):
    pass


@unbox(RulesType)
def _unbox_rules(typ, obj, c):
    return NativeValue(c.context.get_dummy_value())


@infer_getattr
class _RulesAttribute(AttributeTemplate):
    key = RulesType

    def generic_resolve(self, rules, attribute):
        return types.int64 if attribute in dict(rules.constants) else None


@lower_getattr_generic(RulesType)
def _lower_constant(context, builder, rules, value, attribute):
    return context.get_constant(types.int64, dict(rules.constants)[attribute])


def initial_position(rules, position):
    raise NotImplementedError("compiled code only")


def legal_actions(rules, position, legal):
    raise NotImplementedError("compiled code only")


def apply_action(rules, position, action):
    raise NotImplementedError("compiled code only")


def current_player(rules, position):
    raise NotImplementedError("compiled code only")


def is_terminal(rules, position):
    raise NotImplementedError("compiled code only")


def player_return(rules, position, player):
    raise NotImplementedError("compiled code only")


def observe(rules, position, planes):
    raise NotImplementedError("compiled code only")


def _kernel(rules: types.Type, name: str) -> Callable[..., Any] | None:
    if not isinstance(rules, RulesType):
        return None
    return _kernels_by_type_name[rules.name][name]


# Numba asks that the implementation's parameters carry these very names: the loader has checked them.
overload(initial_position, inline="always")(lambda rules, position: _kernel(rules, "initial_position"))
overload(legal_actions, inline="always")(lambda rules, position, legal: _kernel(rules, "legal_actions"))
overload(apply_action, inline="always")(lambda rules, position, action: _kernel(rules, "apply_action"))
overload(current_player, inline="always")(lambda rules, position: _kernel(rules, "current_player"))
overload(is_terminal, inline="always")(lambda rules, position: _kernel(rules, "is_terminal"))
overload(player_return, inline="always")(lambda rules, position, player: _kernel(rules, "player_return"))
overload(observe, inline="always")(lambda rules, position, planes: _kernel(rules, "observe"))
