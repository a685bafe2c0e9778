"""Converts a complete configuration of plain nested dicts to Settings, strictly, and back.

Called by config/hydra.py with the composed config, and by all code that reads the config.yaml of a run or a checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from contextlib import suppress
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from ddpzero.algorithms.loader import Plugin, check_settings, errors_of_plugin, load_plugin
from ddpzero.config.renamed import rename_composed, rename_saved
from ddpzero.config.strict import (
    as_group,
    convert,
    default_of,
    make_dataclass,
    refuse_unknown_keys,
    show,
)
from ddpzero.games import load_any_game
from ddpzero.settings import GameSettings, Settings
from ddpzero.system.errors import require

# Fields of Settings that are not the group or the value of the same name.
_SPECIAL = ("algorithm", "game", "sections")


def settings_from_dict(config: Mapping[str, Any]) -> Settings:
    """Convert and check a whole configuration; loads the plugin and the game, never torch.

    Raises UserError, or ValueError if the game refuses its parameters.
    """
    algorithm = as_group(config.get("algorithm"), "algorithm")
    plugin_name = plugin_name_of(algorithm)
    plugin = load_plugin(plugin_name)
    hints = {name: hint for name, hint in get_type_hints(Settings).items() if name not in _SPECIAL}
    known = [*hints, "game", *({"algorithm": None} | dict(plugin.sections))]
    refuse_unknown_keys("", config, known)
    if "algorithm" not in plugin.sections:
        refuse_unknown_keys("algorithm", algorithm, ["plugin", "source"])
    algorithm = {key: value for key, value in algorithm.items() if key not in ("plugin", "source")}
    groups = {**config, "algorithm": algorithm}
    config = {**config, **{name: _at_home(config.get(name)) for name in ("runs_dir", "init_from")}}
    settings = Settings(
        **{name: convert(config.get(name), hint, name) for name, hint in hints.items()},
        algorithm=plugin_name,
        sections={name: _section(plugin, name, groups.get(name)) for name in plugin.sections},
        game=game_settings_from_dict(as_group(config.get("game"), "game")),
    )
    check_settings(settings)
    return settings


def _section(plugin: Plugin, name: str, group: Any) -> Any:
    # The dataclass may have type hints that do not exist, and its __post_init__ can raise anything.
    key = next((field.name for field in fields(plugin.sections[name])), "KEY")
    require(
        group is not None,
        f"{name}=null is not allowed: {plugin.key} reads this group of keys. Remove `~{name}` or `{name}=null` if it "
        f"is given; else set the group's keys, as in {name}.{key}=VALUE, or write them in a file "
        "my_conf/algorithm/NAME.yaml (--config-dir my_conf algorithm=NAME; see ddpzero/algorithms/README.md).",
    )
    with errors_of_plugin(plugin.key, f"the dataclass of SECTIONS[{name!r}]"):
        return make_dataclass(plugin.sections[name], group, name)


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of an earlier version with new names for renamed keys and defaults for keys that came later.

    All other keys and values stay as they are, right or wrong.
    """
    all_defaults = _defaults(config)
    filled = rename_saved(config, all_defaults)
    for name, defaults in all_defaults.items():
        group = filled.get(name, {})
        if isinstance(defaults, dict) and isinstance(group, Mapping):
            filled[name] = dict(group) | {k: v for k, v in defaults.items() if k not in group}
        elif name not in filled:
            filled[name] = defaults
    return filled


def with_new_names(config: Mapping[str, Any], on_command_line: Container[str]) -> dict[str, Any]:
    """Return a composed config with new names for keys that a YAML file gave by an old one.

    on_command_line: dotted keys that the command line sets. Raises UserError.
    """
    return rename_composed(config, _defaults_of_groups(config), on_command_line)


def _defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of the core, and of the config's plugin and game as far as these can be loaded."""
    core: dict[str, Any] = {
        "init_from": None,
        "evaluator": "auto",
        **_defaults_of_groups(config),
    }
    with suppress(Exception):
        parameters = {k: v for k, v in config["game"].items() if k not in ("name", "source")}
        game = load_any_game(config["game"]["name"], config["game"].get("source"), **parameters)
        core["game"] = {"source": None, **asdict(game.parameters)}
    return core


def _defaults_of_groups(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the defaults of each group of keys, of the core and of the config's plugin if it can be loaded."""
    groups = {n: _field_defaults(h) for n, h in get_type_hints(Settings).items() if is_dataclass(h)}
    del groups["game"]
    # The plugin may have been removed, and a damaged config may name anything.
    with suppress(Exception):
        plugin = load_plugin(plugin_name_of(config["algorithm"]))
        groups |= {name: _field_defaults(section) for name, section in plugin.sections.items()}
    return groups


def _field_defaults(cls: Any) -> dict[str, Any]:
    defaults = {field.name: default_of(field) for field in fields(cls)}
    return {name: _plain(value) for name, value in defaults.items() if value is not MISSING}


def settings_to_dict(settings: Settings) -> dict[str, Any]:
    """Return the inverse of `settings_from_dict`: plain values for YAML and JSON, complete with all defaults."""
    names = [field.name for field in fields(settings) if field.name not in _SPECIAL]
    config = {name: _plain(getattr(settings, name)) for name in names}
    sections = _plain(settings.sections)
    config["game"] = {
        "name": settings.game.name,
        "source": settings.game.source,
        **settings.game.parameters,
    }
    key = "source" if settings.algorithm.endswith(".py") else "plugin"
    config["algorithm"] = {key: settings.algorithm, **sections.pop("algorithm", {})}
    return config | sections


def plugin_name_of(algorithm: Mapping[str, Any]) -> str:
    """Return Settings.algorithm for the group `algorithm`: the module's name, or the absolute path of the file."""
    plugin = convert(algorithm.get("plugin"), str | None, "algorithm.plugin")
    source = convert(algorithm.get("source"), str | None, "algorithm.source")
    require(
        plugin is not None or source is not None,
        "the config names no algorithm: add algorithm.source=FILE.py, the path of the plugin's file, or "
        "algorithm.plugin=PACKAGE.MODULE, the name of its module.",
    )
    require(
        plugin is None or source is None,
        f"algorithm.plugin={show(plugin)} and algorithm.source={show(source)} are both given: remove one of them.",
    )
    if plugin is not None:
        return plugin
    assert source is not None
    require(
        source.endswith(".py"),
        f"algorithm.source={source} is not the path of a .py file: for a module write algorithm.plugin={source}.",
    )
    # A run must find its plugin when it is resumed or played from another folder.
    return str(Path(source).expanduser().resolve())


def game_settings_from_dict(group: dict[str, Any]) -> GameSettings:
    """Convert and check the group `game`; loads the game, which declares its parameters. Errors as above."""
    name = convert(group.pop("name", None), str, "game.name")
    source = convert(group.pop("source", None), str | None, "game.source")
    if source is not None and source.endswith(".py"):
        # A run must find its rules when it is resumed or played from another folder.
        source = str(Path(source).expanduser().resolve())
    return GameSettings(name, source, asdict(load_any_game(name, source, **group).parameters))


def _at_home(path: Any) -> Any:
    """Return a path with its leading ~ expanded; any other value unchanged."""
    return os.path.expanduser(path) if isinstance(path, str) else path


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value
