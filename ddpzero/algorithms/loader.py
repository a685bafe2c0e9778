"""Finds a plugin by module name or file, checks that it has what base.py requires, and makes its algorithm for a game.

Called when the config is checked and when the algorithm is made. Does not import torch itself.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ddpzero.algorithms.base import Algorithm, CompleteAlgorithm
from ddpzero.algorithms.defaults import complete_algorithm
from ddpzero.games import Game, TeamGame, load_any_game
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError, in_one_line, require
from ddpzero.system.metric_info import MetricInfo

_KINDS = {
    Game: "two players take turns",
    TeamGame: "teams act all at once",
}


@dataclass(frozen=True)
class Plugin:
    """What the core uses of a plugin's module; see base.py. key: its name in errors, "algorithm.plugin=..."."""

    key: str
    game_kind: type[Game] | type[TeamGame]
    sections: Mapping[str, type]
    make_algorithm: Callable[[Any, Mapping[str, Any]], Algorithm]
    metrics: Mapping[str, MetricInfo]
    check: Callable[[Settings, Any], None] = lambda settings, game: None
    ignored: Callable[[Settings, Any], dict[str, str]] = lambda settings, game: {}

    def require_kind(self, game: Game | TeamGame) -> None:
        """Raise UserError for a game of a kind that this plugin does not play."""
        require(
            isinstance(game, self.game_kind),
            f"in game={game.name} {_KINDS[type(game)]}, but {self.key} plays games in which "
            f"{_KINDS[self.game_kind]}: choose another game or another algorithm.",
        )


def load_algorithm(settings: Settings, game: Game | TeamGame | None = None) -> CompleteAlgorithm:
    """Return the algorithm of these settings for their game, or for `game`. Raises UserError if it cannot play it."""
    plugin = load_plugin(settings.algorithm)
    game = game or load_any_game(**settings.game.arguments)
    plugin.require_kind(game)
    return complete_algorithm(plugin.make_algorithm(game, settings.sections))


def check_settings(settings: Settings) -> None:
    """Raise UserError for settings that the plugin does not accept, or a game that it cannot play."""
    plugin = load_plugin(settings.algorithm)
    game = load_any_game(**settings.game.arguments)
    plugin.require_kind(game)
    plugin.check(settings, game)


def load_plugin(name: str) -> Plugin:
    """Load the plugin in a module, or in a file given by its absolute path.

    Raises UserError if it cannot be imported, or lacks what a plugin must define.
    """
    is_file = name.endswith(".py")
    key = f"algorithm.{'source' if is_file else 'plugin'}={name}"
    module = _import_file(key, Path(name)) if is_file else _import_module(key, name)
    where = key if is_file else f"{key} ({module.__file__})"
    kind: Any = getattr(module, "GAME_KIND", None)
    sections: Any = getattr(module, "SECTIONS", None)
    require(
        isinstance(sections, dict) and all(is_dataclass(section) for section in sections.values()),
        f"{where} is not a plugin: it needs SECTIONS, a dict of section name to dataclass.",
    )
    require(
        kind in _KINDS,
        f"{where} is not a plugin: it needs GAME_KIND = Game or GAME_KIND = TeamGame, the kind of games that it "
        "plays (from ddpzero.games import Game, TeamGame).",
    )
    metrics = getattr(module, "METRICS", {})
    require(
        isinstance(metrics, dict)
        and all(isinstance(tag, str) and isinstance(i, MetricInfo) for tag, i in metrics.items()),
        f"{key} has a METRICS that is no dict of tag to MetricInfo: declare each metric as in "
        'METRICS = {"losses/total": MetricInfo("What it is.")}, from ddpzero.system.metric_info.',
    )
    _require_function(where, module, "make_algorithm", ("game", "sections"))
    optional = {"check": ("settings", "game"), "ignored": ("settings", "game")}
    given = {name: names for name, names in optional.items() if hasattr(module, name)}
    for function, names in given.items():
        _require_function(where, module, function, names)
    functions = {function: getattr(module, function) for function in ("make_algorithm", *given)}
    return Plugin(key, kind, sections, metrics=metrics, **functions)


def _import_module(key: str, name: str) -> ModuleType:
    require(
        all(part.isidentifier() for part in name.split(".")),
        f"algorithm.plugin={name!r} is not the name of a module: write algorithm.plugin=package.module.",
    )
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{key} cannot be imported ({error}): name a module, and put its folder on PYTHONPATH if it is not "
            "installed; or name its file, algorithm.source=FILE.py."
        ) from None
    # Importing a user's module can raise anything.
    except (Exception, SystemExit) as error:
        raise UserError(
            f"{key} cannot be imported ({in_one_line(error)}): fix that module."
        ) from error


def _import_file(key: str, file: Path) -> ModuleType:
    """Import a file as a module of its name, after appending its folder to sys.path.

    Actors inherit sys.path: they find the plugin's factory and unpickle its settings by the module's name.
    """
    require(file.is_file(), f"{key} is not a file: give the path of the plugin's .py file.")
    require(
        file.stem.isidentifier(),
        f"{key}: the file is imported as a module, and {file.stem} is no name of one: use letters, digits and '_'.",
    )
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    # Python may have listed the folder before the file was written.
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(file.stem)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"{key} cannot be imported ({in_one_line(error)}): fix that file."
        ) from error
    found = module.__file__ or "a part of Python"
    require(
        Path(found).resolve() == file.resolve(),
        f"{key}: there is another module {file.stem} ({found}): rename the file.",
    )
    return module


def _require_function(
    where: str, module: ModuleType, name: str, parameters: tuple[str, ...]
) -> None:
    """Raise UserError unless the module has a function of this name with exactly these parameters."""
    function: Any = getattr(module, name, None)
    wanted = f"{name}({', '.join(parameters)})"
    require(callable(function), f"{where} is not a plugin: it needs {wanted}.")
    found = tuple(inspect.signature(function).parameters)
    require(
        found == parameters,
        f"{where}: {name}({', '.join(found)}) must have the parameters ({', '.join(parameters)}): write {wanted}.",
    )


def has_parameter(function: Callable[..., Any], name: str) -> bool:
    """Return whether a function declares a parameter of this name."""
    return name in inspect.signature(function).parameters
