"""Renamed configuration keys. An old name works for one more version, with a notice.

Called by hydra.py with the words of the command line and with composed configs, and by conversion.py with the configs
that earlier versions saved.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Container, Mapping, Sequence
from typing import Any

from ddpzero.config.strict import show
from ddpzero.system.errors import require

# Dotted old key to dotted new key. Keys of the group `game` belong to the game and cannot be renamed here.
RENAMED_KEYS = {
    "actors.evaluation_cache_megabytes": "algorithm.evaluation_cache_megabytes",
    "opponent.max_episodes": "opponent.schedule_episodes",
    "opponent.evasion_from_episode": "opponent.final_agent_from_episode",
    "opponent.promotion_games": "opponent.promotion_episodes",
}

_told: set[str] = set()


def rename_words(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with new names for old keys. Raises UserError if both names are given."""
    parts = [re.match(r"([+~]*)([^=]*)(.*)", word, re.DOTALL) for word in words]
    keys = {match[2] for match in parts if match}
    for old in RENAMED_KEYS.keys() & keys:
        _refuse_both(old, RENAMED_KEYS[old] in keys)
        _tell(old)
    return [
        f"{match[1]}{RENAMED_KEYS[match[2]]}{match[3]}"
        if match and match[2] in RENAMED_KEYS
        else word
        for word, match in zip(words, parts, strict=True)
    ]


def rename_composed(
    config: Mapping[str, Any],
    defaults: Mapping[str, Any],
    on_command_line: Container[str],
) -> dict[str, Any]:
    """Rename the keys that a YAML file gave by their old names, with a notice for each.

    defaults: the default of each known key, by group. on_command_line: dotted keys, whose values override YAML files.
    A key that the config's algorithm does not have is dropped. Raises UserError if YAML files gave both names.
    """
    renamed = dict(config)
    for old, new in RENAMED_KEYS.items():
        if (value := _take(renamed, old)) is _ABSENT:
            continue
        _tell(old)
        group, _, key = new.partition(".")
        if new in on_command_line or key not in defaults.get(group, {}):
            continue
        present = renamed.get(group, {}).get(key, defaults[group][key])
        # conf/ gives every key its default: any other value comes from a file or preset with the new name.
        _refuse_both(old, present not in (defaults[group][key], value), f"={show(value)}")
        _put(renamed, new, value)
    return renamed


def rename_saved(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the keys of a config that an earlier version saved, without a notice: users do not edit those."""
    renamed = dict(config)
    for old, new in RENAMED_KEYS.items():
        value = _take(renamed, old)
        group, _, key = new.partition(".")
        is_missing = key in defaults.get(group, {}) and key not in renamed.get(group, {})
        if value is not _ABSENT and is_missing:
            _put(renamed, new, value)
    return renamed


_ABSENT = object()


def _take(config: dict[str, Any], path: str) -> Any:
    """Remove a key from its group, replacing the group's dict, and return its value or _ABSENT."""
    group, _, key = path.partition(".")
    values = config.get(group)
    if not isinstance(values, Mapping) or key not in values:
        return _ABSENT
    config[group] = {name: value for name, value in values.items() if name != key}
    return values[key]


def _put(config: dict[str, Any], path: str, value: Any) -> None:
    group, _, key = path.partition(".")
    config[group] = {**config.get(group, {}), key: value}


def _refuse_both(old: str, has_both: bool, shown: str = "") -> None:
    new = RENAMED_KEYS[old]
    require(
        not has_both,
        f"{old}{shown} and {new} are both given, and they are two names of one setting: remove {old}.",
    )


def _tell(old: str) -> None:
    if old in _told or os.environ.get("RANK", "0") != "0":
        return
    _told.add(old)
    print(
        f"ddpzero: {old} is now called {RENAMED_KEYS[old]}; the old name still works in this version.",
        file=sys.stderr,
        flush=True,
    )
