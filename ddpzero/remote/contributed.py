"""The config with which contributors play a run: one whose games can be checked, and whose code they have."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_from_dict, with_defaults
from ddpzero.games import Game
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import printable

_PLUGINS = "ddpzero.algorithms."
_MAX_SENTENCE = 500


def contributed_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a run, changed so that every result follows from the rules.

    config: nested plain values, possibly from another machine: no code but ddpzero's is loaded. Raises UserError if
    contributors cannot play this run, with a sentence that a terminal can show.
    """
    try:
        return _contributed_config(config)
    except ValueError as error:
        # Also of the game itself. It may quote the config.
        raise UserError(printable(str(error)[:_MAX_SENTENCE])) from None


def _contributed_config(config: Mapping[str, Any]) -> dict[str, Any]:
    config = copy.deepcopy(dict(config))
    # Before anything is loaded: a name could stand for any code on this machine.
    for name in ("game", "algorithm"):
        group = config.get(name)
        source = group.get("source") if isinstance(group, dict) else None
        require(
            isinstance(group, dict) and source is None,
            f"{name}.source={str(source)[:80]}: contributors can only play games and algorithms of ddpzero: they do "
            "not have other files.",
        )
    plugin = str(config["algorithm"].get("plugin"))
    require(
        plugin.startswith(_PLUGINS) and plugin.removeprefix(_PLUGINS).isidentifier(),
        f"algorithm.plugin={plugin[:80]}: only algorithms of ddpzero can be played by contributors.",
    )
    config = with_defaults(config)
    algorithm = load_algorithm(settings_from_dict(config))
    changes = algorithm.settings_for_checks()
    require(
        changes is not None and isinstance(algorithm.game, Game),
        f"{plugin}: nothing can check an episode of this algorithm, so games of contributors would have to be trusted.",
    )
    assert changes is not None
    for key, value in changes.items():
        group, _, name = key.rpartition(".")
        (config[group] if group else config)[name] = value
    return config
