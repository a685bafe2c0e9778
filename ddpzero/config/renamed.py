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

# Dotted old key to dotted new key. A key of the core that only some algorithms have now has no effect with the others.
# Keys of the group `game` belong to the game and cannot be renamed here.
RENAMED_KEYS = {
    "actors.evaluation_cache_megabytes": "algorithm.evaluation_cache_megabytes",
    "opponent.max_episodes": "opponent.schedule_episodes",
    "opponent.evasion_from_episode": "opponent.final_agent_from_episode",
    "opponent.promotion_games": "opponent.promotion_episodes",
}

_told: set[str] = set()


def rename_words(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with new names for old keys. Raises UserError if both names are given.

    A key that has moved to another group keeps its old name, for rename_composed: only the composed config tells
    whether its algorithm has the new key.
    """
    parts = [re.match(r"([+~]*)([^=]*)(.*)", word, re.DOTALL) for word in words]
    keys = {match[2] for match in parts if match}
    for old in RENAMED_KEYS.keys() & keys:
        _refuse_both(old, RENAMED_KEYS[old] in keys)
    return [
        _rename_word(match[1], match[2], match[3]) if match and match[2] in RENAMED_KEYS else word
        for word, match in zip(words, parts, strict=True)
    ]


def _rename_word(prefix: str, old: str, rest: str) -> str:
    new = RENAMED_KEYS[old]
    if _group(old) != _group(new) and "~" not in prefix:
        return f"++{old}{rest}"
    _tell(old)
    return f"{prefix}{new}{rest}"


def rename_composed(
    config: Mapping[str, Any],
    defaults: Mapping[str, Any],
    on_command_line: Container[str],
) -> dict[str, Any]:
    """Rename the keys that a YAML file, or a word that rename_words left, gave by their old names, with notices.

    defaults: the default of each known key, by group. on_command_line: dotted keys, whose values override YAML files.
    A key that the config's algorithm does not have is dropped. Raises UserError if YAML files gave both names.
    """
    renamed = dict(config)
    for old, new in RENAMED_KEYS.items():
        if (value := _take(renamed, old)) is _ABSENT:
            continue
        group, _, key = new.partition(".")
        if key not in defaults.get(group, {}):
            _tell(old, f"{old}={show(value)} has no effect with this algorithm: remove it.")
            continue
        _tell(old)
        if new in on_command_line:
            continue
        present = renamed.get(group, {}).get(key, defaults[group][key])
        # conf/ gives every key its default: any other value comes from a file or preset with the new name.
        is_from_file = old not in on_command_line
        has_both = is_from_file and present not in (defaults[group][key], value)
        _refuse_both(old, has_both, f"={show(value)}")
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


def _group(path: str) -> str:
    return path.partition(".")[0]


def _tell(old: str, sentence: str = "") -> None:
    """Print a notice about an old key, once: the sentence, or its new name."""
    if old in _told or os.environ.get("RANK", "0") != "0":
        return
    _told.add(old)
    works = f"{old} is now called {RENAMED_KEYS[old]}; the old name still works in this version."
    print(f"ddpzero: {sentence or works}", file=sys.stderr, flush=True)
