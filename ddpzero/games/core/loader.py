"""Finds a game's file, checks its functions against the kernel contract, and makes a Game of it.

Called once in every process that needs a game; actors receive the same arguments and load it again.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import zlib
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import numpy as np

from ddpzero import PACKAGE_DIR
from ddpzero.games.core.contract import KERNEL_PARAMETERS, OPTIONAL_KERNEL_PARAMETERS, Rules
from ddpzero.games.core.fingerprint import file_fingerprint, fingerprint
from ddpzero.games.core.game import Game
from ddpzero.games.core.moved import keep_old_names, tell_of_old_names
from ddpzero.games.core.spec import GameSpec
from ddpzero.games.core.team_contract import TEAM_KERNEL_PARAMETERS
from ddpzero.games.core.team_game import TeamGame, TeamGameSpec
from ddpzero.system.errors import in_one_line

_GAMES_DIR = PACKAGE_DIR / "games"
# The declaration that distinguishes the file of a game from helper files.
_DECLARES_PARAMETERS = re.compile(r"^class Parameters\b", re.MULTILINE)
_PYTHON_SIDE = {
    "spec": ("parameters",),
    "action_name": ("parameters", "action"),
    "parse_action": ("parameters", "text"),
    "board": ("parameters", "position"),
    "render": ("parameters", "position", "last_action"),
}
# The cells of `board` that won, to mark them for people.
_OPTIONAL_PYTHON_SIDE: dict[str, tuple[str, ...]] = {
    "winning_cells": ("parameters", "position"),
    "sgf_header": ("parameters",),
    "sgf_point": ("parameters", "action"),
    "sgf_words": ("parameters", "position"),
    "sgf_parameters": ("parameters", "properties", "moves"),
    "geometry": ("parameters",),
}
_PYTHON_SIDE_OF_TEAM_GAMES = {
    "spec": ("parameters",),
    "render": ("parameters", "position", "in_color"),
    "picture": ("parameters", "position"),
}
# As render, with one agent marked: the one that a person steers. The colors of the teams in `picture`, as RGB.
_OPTIONAL_PYTHON_SIDE_OF_TEAM_GAMES: dict[str, tuple[str, ...]] = {
    "render_marked": ("parameters", "position", "in_color", "agent"),
    "team_colors": ("parameters",),
}
# Former names of parameters, which games may keep for one version; ddpzero passes them by position.
_RENAMED = {"in_colour": "in_color"}
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}


def describe_game(game: Game | TeamGame) -> str:
    """Return "gomoku with size=15, line=5, exact_five=False"."""
    parameters = asdict(game.parameters)
    listed = ", ".join(f"{name}={value}" for name, value in parameters.items())
    return f"{game.name} with {listed}" if listed else game.name


def known_games() -> list[str]:
    """Return the names of ddpzero's games in alphabetical order."""
    return sorted(_modules_of_games())


def _modules_of_games() -> dict[str, str]:
    """Return the modules of ddpzero's games by name: a file in games/, or game.py in a folder there."""
    files = {file.stem: file for file in _GAMES_DIR.glob("*.py")}
    folders = {file.parent.name: file for file in _GAMES_DIR.glob("*/game.py")}
    return {
        name: ".".join(file.relative_to(PACKAGE_DIR.parent).with_suffix("").parts)
        for name, file in (files | folders).items()
        if _DECLARES_PARAMETERS.search(file.read_text())
    }


def load_game(name: str, source: str | None = None, **parameters: Any) -> Game:
    """Load a board game with its parameters ("rows=6").

    source: None for a game of ddpzero; else the path of a game file, or the name of a module that Python can import.
    Raises ValueError for an unknown game or parameter, a parameter out of range, a file that breaks the contract, or a
    game for teams.
    """
    game = load_any_game(name, source, **parameters)
    if not isinstance(game, Game):
        raise ValueError(
            f"game={name} is a team game, but a game in which two players take turns is needed here: name another one."
        )
    return game


def load_any_game(name: str, source: str | None = None, **parameters: Any) -> Game | TeamGame:
    """Load a board game or a team game. A file with the kernel `step` is a team game. Otherwise as load_game."""
    return _make_game(name, source, _load_module(name, source), parameters)


def variation(game: Game, **parameters: Any) -> Game:
    """Return the same board game with other values of these parameters ("size=9"). Raises ValueError like load_game."""
    changed = {**asdict(game.parameters), **parameters}
    varied = _make_game(game.name, game.source, game.module, changed)
    assert isinstance(varied, Game)
    return varied


def _make_game(
    name: str, source: str | None, module: ModuleType, parameters: dict[str, Any]
) -> Game | TeamGame:
    is_for_teams = hasattr(module, "step")
    if is_for_teams:
        required = {**TEAM_KERNEL_PARAMETERS, **_PYTHON_SIDE_OF_TEAM_GAMES}
        _check_functions(name, module, required, _OPTIONAL_PYTHON_SIDE_OF_TEAM_GAMES)
    else:
        required = {**KERNEL_PARAMETERS, **_PYTHON_SIDE}
        _check_functions(name, module, required, OPTIONAL_KERNEL_PARAMETERS | _OPTIONAL_PYTHON_SIDE)
    _check_parameters(name, module, parameters)
    values, spec, constants, variables = _ask_python_side(name, module, parameters, is_for_teams)
    arguments = ",".join([f"{key}={value}" for key, value in constants.items()] + [*variables])
    kernel_names = (
        TEAM_KERNEL_PARAMETERS
        if is_for_teams
        else (*KERNEL_PARAMETERS, *OPTIONAL_KERNEL_PARAMETERS)
    )
    kernels = {
        kernel: getattr(module, kernel) for kernel in kernel_names if hasattr(module, kernel)
    }
    if "score" in kernels and spec.max_score < 1:
        raise ValueError(
            f"game {name} ({module.__file__}) has the kernel score: its spec must say max_score, the most points that "
            "one side can be ahead."
        )
    # The module's name is part of the type name: cached machine code looks its module up by name.
    type_name = f"{module.__name__}({arguments})@{fingerprint(module, tuple(kernels))}"
    rules = Rules(type_name, constants, variables, kernels)
    if is_for_teams:
        return TeamGame(name, source, module, values, spec, rules)
    return Game(name, source, module, values, spec, rules)


def _ask_python_side(
    name: str, module: ModuleType, parameters: dict[str, Any], is_for_teams: bool
) -> tuple[Any, Any, dict[str, int], dict[str, int]]:
    """Return the Parameters of a game, its spec, and what its kernels read: constants, and variables.

    Passes ValueErrors of the game on.
    """
    wanted = TeamGameSpec if is_for_teams else GameSpec
    what = "Parameters"
    try:
        values = module.Parameters(**parameters)
        what = "spec"
        spec = module.spec(values)
        what = "Parameters.constants"
        constants = values.constants() if hasattr(values, "constants") else asdict(values)
        constants = {key: int(value) for key, value in constants.items()}
        what = "Parameters.variables"
        variables = values.variables() if hasattr(values, "variables") else {}
        variables = {key: int(np.int64(value)) for key, value in variables.items()}
    except ValueError as error:
        if PACKAGE_DIR in Path(module.__file__ or "").parents:
            raise
        raise ValueError(f"game {name} ({module.__file__}): {error}") from error
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"game {name} ({module.__file__}): {what}() raises {in_one_line(error)}: fix that file."
        ) from error
    if not isinstance(spec, wanted):
        raise ValueError(
            f"game {name} ({module.__file__}): spec(parameters) returns a {type(spec).__name__}; it must return a "
            f"{wanted.__name__}."
        )
    constants = {key: value for key, value in constants.items() if key not in variables}
    return values, spec, constants, variables


def _load_module(name: str, source: str | None) -> ModuleType:
    if source is not None:
        keep_old_names()
    if source is None:
        modules = _modules_of_games()
        if name not in modules:
            raise ValueError(
                f"game.name={name} is not a game of ddpzero: there are {', '.join(sorted(modules))}. "
                "A game of your own names its file in game.source."
            )
        return importlib.import_module(modules[name])
    if not source.endswith(".py"):
        if not all(part.isidentifier() for part in source.split(".")):
            raise ValueError(
                f"game.source={source!r} is neither the path of a .py file nor the name of a module."
            )
        try:
            return importlib.import_module(source)
        except ModuleNotFoundError as error:
            raise ValueError(
                f"game.source={source} cannot be imported ({error}): give a module on Python's path, "
                "or the path of a .py file."
            ) from None
        except (Exception, SystemExit) as error:
            raise ValueError(
                f"game.source={source} cannot be imported ({in_one_line(error)}): fix that module."
            ) from error
    file = Path(source).expanduser().resolve()
    if not file.is_file():
        raise ValueError(
            f"game.source={source} is not a file: give the path of the game's .py file."
        )
    # Name the module by content, not by path: cached machine code then also serves copies
    # elsewhere.
    module_name = f"ddpzero_game_{file.stem}_{file_fingerprint(file)}"
    if (loaded := sys.modules.get(module_name)) is not None and loaded.__file__ != str(file):
        # A copy in another folder may read other data there.
        module_name += f"_{zlib.crc32(str(file).encode()):08x}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    tell_of_old_names(file)
    module_spec = importlib.util.spec_from_file_location(module_name, file)
    assert module_spec is not None and module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    # dataclasses look their module up in sys.modules.
    sys.modules[module_name] = module
    try:
        module_spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        raise ValueError(
            f"game.source={source} cannot be loaded ({in_one_line(error)}): fix that file."
        ) from error
    return module


def _check_functions(
    name: str,
    module: ModuleType,
    required: dict[str, tuple[str, ...]],
    optional: dict[str, tuple[str, ...]],
) -> None:
    """Check that the file has the functions of the contract, with these parameters; raise ValueError if not."""
    if not is_dataclass(getattr(module, "Parameters", None)):
        raise ValueError(f"game {name} ({module.__file__}) lacks the dataclass Parameters.")
    for function_name, expected in {**required, **optional}.items():
        function = getattr(module, function_name, None)
        if function is None and function_name not in required:
            continue
        if function is None:
            raise ValueError(
                f"game {name} ({module.__file__}) lacks {function_name}({', '.join(expected)})."
            )
        signature = tuple(inspect.signature(getattr(function, "py_func", function)).parameters)
        if tuple(_RENAMED.get(parameter, parameter) for parameter in signature) != expected:
            raise ValueError(
                f"game {name} ({module.__file__}): {function_name}({', '.join(signature)}) must have the "
                f"parameters ({', '.join(expected)}), with these names."
            )


def _check_parameters(name: str, module: ModuleType, parameters: dict[str, Any]) -> None:
    known = {field.name: field for field in fields(module.Parameters)}
    try:
        types = get_type_hints(module.Parameters)
    # An annotation can name anything.
    except Exception as error:
        raise ValueError(
            f"game {name} ({module.__file__}): the types of Parameters cannot be read ({in_one_line(error)}): fix that "
            "file."
        ) from error
    has_constants = hasattr(module.Parameters, "constants")
    for key, field in known.items():
        if types[key] not in (int, bool, *((float, str) if has_constants else ())):
            raise ValueError(
                f"game {name} ({module.__file__}): Parameters.{key} must be an int or a bool: kernels read "
                "parameters as integer constants. For a float or a str give Parameters a method constants(), which "
                "returns the integers by name."
            )
        if key not in parameters and field.default is MISSING:
            raise ValueError(f"game.{key} of {name} has no default: give it a value.")
    for key, value in parameters.items():
        if key not in known:
            raise ValueError(
                f"game.{key} is not a parameter of {name}: it has {', '.join(known) or 'none'}."
            )
        is_number = types[key] is float and type(value) is int
        if type(value) is not types[key] and not is_number:
            raise ValueError(
                f"game.{key}={value!r} is not {_KINDS[types[key]]}, as {name} needs it."
            )
