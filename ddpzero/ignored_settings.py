"""Settings that were changed and have no effect under the others: each is told once, when a run starts.

Called by the learner. What a plugin ignores it says itself, by the optional name `ignored` of its module.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ddpzero.algorithms.loader import load_plugin
from ddpzero.settings import Settings

_ONLY_IN_ROUNDS = ("learner.episodes_per_round", "learner.steps_per_round")
_ONLY_CONCURRENT = ("learner.steps_per_epoch", "learner.publish_interval_steps")


def ignored_settings(settings: Settings) -> list[str]:
    """A sentence for each setting that differs from its default and that nothing reads."""
    reasons: dict[str, str] = {}
    schedule = settings.learner.schedule
    for key in _ONLY_CONCURRENT if schedule == "rounds" else _ONLY_IN_ROUNDS:
        reasons[key] = f"learner.schedule={schedule} does not read it"
    plugin = load_plugin(settings.algorithm)
    if hasattr(plugin, "ignored"):
        reasons |= plugin.ignored(settings)
    return [
        f"{key}={_value(settings, key)} has no effect: {reason}."
        for key, reason in reasons.items()
        if _is_changed(settings, key)
    ]


def _section(settings: Settings, name: str) -> Any:
    return settings.sections[name] if name in settings.sections else getattr(settings, name)


def _value(settings: Settings, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(_section(settings, section), name)


def _is_changed(settings: Settings, key: str) -> bool:
    section, _, name = key.partition(".")
    (field,) = (field for field in fields(_section(settings, section)) if field.name == name)
    return _value(settings, key) != field.default
