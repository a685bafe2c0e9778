"""Composes the config with Hydra, checks it as a whole, and converts it to Settings.

Called only by main.py and cli/; all other code receives plain dataclasses.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ddpzero.algorithms.loader import load_plugin
from ddpzero.config.conf_folder import (
    CONFIG_NAME,
    PRESETS,
    conf_dir,
    is_alias,
    keys_of,
    options_of,
)
from ddpzero.config.conversion import (
    game_settings_from_dict,
    plugin_name_of,
    settings_from_dict,
    with_new_names,
)
from ddpzero.config.explanations import explain, explain_config_dir, explain_group_of_preset
from ddpzero.config.overrides import accept_new_keys, check_words, parse_overrides, quoted
from ddpzero.config.renamed import rename_words
from ddpzero.config.strict import as_group
from ddpzero.settings import GameSettings, Settings
from ddpzero.system.errors import UserError

_Converted = TypeVar("_Converted")

HYDRA_VERSION = "1.3"

# For the folder of a --multirun, which Hydra creates itself: expands ~ to the home folder.
OmegaConf.register_new_resolver("home", os.path.expanduser, replace=True)


def compose_settings(overrides: Sequence[str], config_dir: str | None = None) -> Settings:
    """Return the settings that `python -m ddpzero.main OVERRIDES` would train with.

    config_dir: a folder that is searched after conf/, as main's --config-dir. Raises UserError.
    """
    config, overrides = _compose(overrides, config_dir)
    return settings_from_config(config, overrides)


def compose_game(overrides: Sequence[str], config_dir: str | None = None) -> GameSettings:
    """Return only the game of these settings, without a check that the algorithm can play it."""
    config, overrides = _compose(overrides, config_dir)
    _check_preset_order(overrides)
    return _converted(config.game, game_settings_from_dict)


def _compose(overrides: Sequence[str], config_dir: str | None) -> tuple[DictConfig, list[str]]:
    """Return the composed config, and the overrides including config_dir. Raises UserError."""
    overrides = list(overrides)
    check_words(overrides)
    overrides = accept_new_keys(rename_words(overrides))
    if config_dir is not None:
        folder = Path(config_dir).expanduser().resolve()
        if not folder.is_dir():
            raise UserError(explain_config_dir(config_dir))
        overrides.append(f"hydra.searchpath=[{quoted(f'file://{folder}')}]")
    try:
        with initialize_config_dir(str(conf_dir()), version_base=HYDRA_VERSION):
            return compose(CONFIG_NAME, overrides=overrides), overrides
    except Exception as error:
        if (sentence := explain(error)) is None:
            raise
        raise UserError(sentence) from None


def settings_from_config(config: DictConfig, overrides: Sequence[str]) -> Settings:
    """Resolve and convert the config that Hydra composed from `overrides`. Raises UserError."""
    _check_preset_order(overrides)
    _check_options(config, overrides)
    given = {override.key_or_group for override in parse_overrides(overrides)}
    return _converted(config, lambda values: settings_from_dict(with_new_names(values, given)))


def _converted(config: DictConfig, convert: Callable[[dict[str, Any]], _Converted]) -> _Converted:
    try:
        values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(explain(error) or str(error)) from None
    try:
        return convert(as_group(values, "game"))
    except UserError:
        raise
    # The game's rules refuse the parameters.
    except ValueError as error:
        raise UserError(str(error)) from None


def _check_options(config: DictConfig, overrides: Sequence[str]) -> None:
    """Raise UserError for a group's option that belongs to another algorithm, because this one has none of its keys."""
    game = config.get("game")
    # Checked here, because run_name contains the game's name.
    if isinstance(game, ListConfig):
        as_group(list(game), "game")
    is_group = isinstance(config.get("algorithm"), DictConfig)
    algorithm = OmegaConf.to_container(config.algorithm) if is_group else {}
    try:
        plugin = plugin_name_of(as_group(algorithm, "algorithm"))
    # Reported when the config is converted.
    except UserError:
        return
    sections = load_plugin(plugin).sections
    _check_keys_of_plugin(algorithm, sections.get("algorithm"), overrides)
    foreign = sorted(_groups_of_algorithms() & set(config) - set(sections))
    for override in parse_overrides(overrides):
        group, option = override.key_or_group, override.value()
        if group in PRESETS and foreign:
            raise UserError(explain_group_of_preset(f"{group}={option}", foreign[0]))
        if group not in sections or group == "algorithm" or not isinstance(option, str):
            continue
        known = {field.name for field in fields(sections[group])}
        options = options_of(group)
        if option in options and not keys_of(group, option) <= known:
            fitting = [
                name
                for name in options
                if keys_of(group, name) <= known and not is_alias(group, name)
            ]
            raise UserError(
                f"{group}={option} is for another algorithm: the one of this config ({plugin}) goes with "
                f"{' or '.join(f'{group}={name}' for name in fitting)}."
            )


def _groups_of_algorithms() -> set[str]:
    """Return the groups in conf/ that algorithms read, such as network."""
    folders = {folder.name for folder in conf_dir().iterdir() if folder.is_dir()}
    return folders - {"algorithm", "game", *PRESETS}


def _check_keys_of_plugin(algorithm: Any, section: type | None, overrides: Sequence[str]) -> None:
    """Raise UserError if algorithm.plugin replaces the plugin of an option that has keys of another algorithm."""
    given = [o for o in parse_overrides(overrides) if o.key_or_group == "algorithm.plugin"]
    known = {field.name for field in fields(section)} if section else set()
    # What the command line sets is reported by its name.
    of_yaml = set(algorithm) - {
        o.key_or_group.partition(".")[2] for o in parse_overrides(overrides)
    }
    foreign = sorted(of_yaml - known - {"plugin", "source"})
    if given and foreign:
        plugin = f"algorithm.plugin={algorithm['plugin']}"
        raise UserError(
            f"{plugin}: the config has keys of another algorithm (algorithm.{foreign[0]}): write algorithm=own "
            f"{plugin}."
        )


def _check_preset_order(overrides: Sequence[str]) -> None:
    """Raise UserError if +hardware precedes +experiment: in Hydra the later one wins and would silently undo it."""
    keys = [override.key_or_group for override in parse_overrides(overrides)]
    given = [key for key in keys if key in PRESETS]
    if given != sorted(given, key=PRESETS.index):
        raise UserError(
            "+hardware stands before +experiment, which would undo it: write +experiment=... first, then +hardware=..."
        )
