"""Finds a plugin by module name or file, checks that it has what base.py requires, and makes its algorithm for a game.

Called when the config is checked and when the algorithm is made. Does not import torch itself.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from ddpzero.algorithms.base import Algorithm, CompleteAlgorithm
from ddpzero.algorithms.defaults import complete_algorithm
from ddpzero.games import Game, TeamGame, load_any_game
from ddpzero.games.core.contract_process import require_contract
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError, in_one_line, line_of, require
from ddpzero.system.metric_info import Kind, MetricInfo
from ddpzero.system.source_files import import_source

_KINDS = {
    Game: "two players take turns",
    TeamGame: "teams act all at once",
}

_CORE_NAMES = {field.name for field in fields(Settings)} - {"algorithm"} | {"hydra"}

# A `*` matches any text.
_METRIC_TAG = re.compile(r"[a-z][a-z0-9_]*/[A-Za-z0-9_.*\-]+")
_NUM_COUNTS = {"rate": 1, "time_share": 1, "ratio": 2}


@dataclass(frozen=True)
class Plugin:
    """What the core uses of a plugin's module; see base.py. key: its name in errors, "algorithm.plugin=...".

    Its functions raise UserError for any error of the plugin's own code; see errors_of_plugin.
    """

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
    algorithm = plugin.make_algorithm(game, settings.sections)
    if missing := missing_members(algorithm, Algorithm):
        raise UserError(
            f"{plugin.key}: the algorithm that make_algorithm returns lacks {', '.join(missing)}: add what the class "
            "Algorithm in ddpzero/algorithms/base.py describes."
        )
    return complete_algorithm(algorithm)


def require_game_contract(settings: Settings) -> None:
    """Check a game from outside the package in a separate process; raise UserError if it violates its contract."""
    if settings.game.source is not None:
        require_contract(settings.game.arguments)


def missing_members(part: object, protocol: type) -> list[str]:
    """Return the attributes, methods and properties of a protocol that an object does not have."""
    methods = [name for name in vars(protocol) if not name.startswith("_")]
    names = [*inspect.get_annotations(protocol), *methods]
    return [name for name in names if not hasattr(part, name)]


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
    _require_sections(key, where, sections)
    require(
        isinstance(kind, type) and kind in _KINDS,
        f"{where} is not a plugin: it needs GAME_KIND = Game or GAME_KIND = TeamGame, the kind of games that it "
        "plays (from ddpzero.games import Game, TeamGame).",
    )
    metrics = getattr(module, "METRICS", {})
    _require_metrics(key, metrics)
    _require_function(where, module, "make_algorithm", ("game", "sections"))
    optional = {"check": ("settings", "game"), "ignored": ("settings", "game")}
    given = {name: names for name, names in optional.items() if hasattr(module, name)}
    for function, names in given.items():
        _require_function(where, module, function, names)
    functions = {
        name: _guarded(key, name, getattr(module, name)) for name in ("make_algorithm", *given)
    }
    if "ignored" in functions:
        functions["ignored"] = _with_checked_result(key, functions["ignored"])
    return Plugin(key, kind, sections, metrics=metrics, **functions)


def _require_sections(key: str, where: str, sections: Any) -> None:
    """Raise UserError unless SECTIONS is a dict of names that the core does not use to dataclasses."""
    require(
        isinstance(sections, dict)
        and all(isinstance(name, str) for name in sections)
        and all(
            isinstance(section, type) and is_dataclass(section) for section in sections.values()
        ),
        f"{where} is not a plugin: it needs SECTIONS, a dict of section name to dataclass (the class itself).",
    )
    for name in sections:
        require(
            name == "algorithm" or (name.isidentifier() and name not in _CORE_NAMES),
            f"{key}: SECTIONS[{name!r}] must have a name of letters, digits and '_' that the core does not use: rename "
            f"the section (reserved: {', '.join(sorted(_CORE_NAMES))}).",
        )


def _require_metrics(key: str, metrics: Any) -> None:
    """Raise UserError unless METRICS is a dict of tag to sound declaration."""
    require(
        isinstance(metrics, dict)
        and all(isinstance(tag, str) and isinstance(i, MetricInfo) for tag, i in metrics.items()),
        f"{key} has a METRICS that is no dict of tag to MetricInfo: declare each metric as in "
        'METRICS = {"losses/total": MetricInfo("What it is.")}, from ddpzero.system.metric_info.',
    )
    for tag, info in metrics.items():
        _require_declaration(key, tag, info)


def _require_declaration(key: str, tag: str, info: MetricInfo) -> None:
    """Raise UserError for a metric whose tag or kind does not exist, or that has the wrong number of counts."""
    require(
        _METRIC_TAG.fullmatch(tag) is not None,
        f'{key}: METRICS[{tag!r}] must have a tag "group/name" of letters, digits, "_", "." and "-": rename it.',
    )
    require(
        info.kind in get_args(Kind),
        f"{key}: METRICS[{tag!r}] has kind={info.kind!r}, which is not one of {', '.join(get_args(Kind))}.",
    )
    wanted = _NUM_COUNTS.get(info.kind, 0)
    require(
        len(info.counts) == wanted and not isinstance(info.counts, str),
        f"{key}: METRICS[{tag!r}] has kind={info.kind!r} and counts={info.counts!r}: this kind needs {wanted} "
        f"{'count' if wanted == 1 else 'counts'}; use rate(), time_share() or ratio() of ddpzero.system.metric_info.",
    )


@contextmanager
def errors_of_plugin(key: str, what: str) -> Iterator[None]:
    """Raise UserError for any error that the plugin's code raises in the block, with its type, text and line.

    what: the subject of the sentence, such as "make_algorithm". A UserError of the plugin passes unchanged, because it
    is written for the user; so does KeyboardInterrupt.
    """
    try:
        yield
    except UserError:
        raise
    # A plugin can raise anything; SystemExit would end the program without a message.
    except (Exception, SystemExit) as error:
        raise UserError(
            f"{key}: {what} raises {in_one_line(error)} ({line_of(error)}): fix the plugin."
        ) from error


def _guarded(key: str, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def guarded(*arguments: Any) -> Any:
        with errors_of_plugin(key, name):
            return function(*arguments)

    return guarded


def _with_checked_result(key: str, ignored: Callable[..., Any]) -> Callable[..., dict[str, str]]:
    """Return the function `ignored` of a plugin with a check that it returns reasons for existing settings."""

    def checked(settings: Settings, game: Any) -> dict[str, str]:
        reasons: Any = ignored(settings, game)
        require(
            isinstance(reasons, dict)
            and all(isinstance(text, str) for entry in reasons.items() for text in entry),
            f"{key}: ignored returns {reasons!r}, which is not a dict of setting to reason, such as "
            '{"learner.optimizer": "this algorithm has its own"}: fix the plugin.',
        )
        known = _keys_of_groups(settings)
        for name in reasons:
            require(
                name in known,
                f"{key}: ignored names {name!r}, which is not a setting of this config, such as learner.optimizer: "
                "fix the plugin.",
            )
        return dict(reasons)

    return checked


def _keys_of_groups(settings: Settings) -> set[str]:
    """Return the dotted keys of all groups that are dataclasses, of the core and of the plugin."""
    groups = {name: value for name, value in vars(settings).items() if is_dataclass(value)}
    groups |= settings.sections
    return {f"{name}.{field.name}" for name, group in groups.items() for field in fields(group)}


def _import_module(key: str, name: str) -> ModuleType:
    require(
        all(part.isidentifier() for part in name.split(".")),
        f"algorithm.plugin={name!r} is not the name of a module: write algorithm.plugin=package.module.",
    )
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise _not_importable(key, error) from error
        raise UserError(
            f"{key} cannot be imported ({error}): name a module, and put its folder on PYTHONPATH if it is not "
            "installed; or name its file, algorithm.source=FILE.py."
        ) from None
    # Importing a user's module can raise anything.
    except (Exception, SystemExit) as error:
        raise _not_importable(key, error) from error


def _not_importable(key: str, error: BaseException) -> UserError:
    # The text of a SyntaxError already names the line; its last frame is in importlib.
    where = "" if isinstance(error, SyntaxError) else f", {line_of(error)}"
    return UserError(f"{key} cannot be imported ({in_one_line(error)}{where}): fix the plugin.")


def _import_file(key: str, file: Path) -> ModuleType:
    require(file.is_file(), f"{key} is not a file: give the path of the plugin's .py file.")
    require(
        file.stem.isidentifier(),
        f"{key}: the file is imported as a module, and {file.stem} is not a module's name: use letters, digits and "
        "'_'.",
    )
    try:
        return import_source(file)
    except (Exception, SystemExit) as error:
        raise _not_importable(key, error) from error


def _require_function(
    where: str, module: ModuleType, name: str, parameters: tuple[str, ...]
) -> None:
    """Raise UserError unless the module has a function of this name with exactly these parameters."""
    function: Any = getattr(module, name, None)
    wanted = f"{name}({', '.join(parameters)})"
    require(callable(function), f"{where} is not a plugin: it needs {wanted}.")
    # Callables from C, such as `dict`, may have no signature.
    with errors_of_plugin(where, f"the signature of {name}"):
        found = tuple(inspect.signature(function).parameters)
    require(
        found == parameters,
        f"{where}: {name}({', '.join(found)}) must have the parameters ({', '.join(parameters)}): write {wanted}.",
    )


def has_parameter(function: Callable[..., Any], name: str) -> bool:
    """Return whether a function declares a parameter of this name."""
    return name in inspect.signature(function).parameters
