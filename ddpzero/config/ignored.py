"""Finds changed settings that have no effect in combination with the others; each is reported when a run starts.

Called by main.py. A plugin reports its own by the optional function `ignored` of its module.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ddpzero.algorithms.loader import load_plugin
from ddpzero.config.strict import default_of, show
from ddpzero.games import Game, TeamGame, load_any_game
from ddpzero.settings import Settings

_ONLY_IN_ROUNDS = ("learner.episodes_per_round", "learner.steps_per_round")
_OF_MATCHES = tuple(f"arena.{name}" for name in ("opponents", "games", "num_simulations", "share"))
# The settings that a rule of release does not read.
_UNREAD_BY_RULE = {
    "always": ("games", "threshold", "min_elo", "max_steps"),
    "gate": ("min_elo", "max_steps"),
    "elo": ("threshold",),
}
_ONLY_CONCURRENT = (
    *("learner.steps_per_epoch", "learner.publish_interval_steps"),
    *("replay.samples_per_insert", "replay.min_samples_per_insert"),
    *("replay.max_samples_per_insert", "actors.min_effort", "actors.max_effort"),
)


def ignored_settings(settings: Settings, world_size: int = 1) -> list[str]:
    """Return a sentence for each setting that differs from its default and has no effect.

    world_size: how many ranks the run has.
    """
    game = load_any_game(**settings.game.arguments)
    reasons = _of_core(settings, world_size) | _of_matches(settings, game)
    reasons |= load_plugin(settings.algorithm).ignored(settings, game)
    return [
        f"{key}={show(_value(settings, key))} has no effect: {reason}."
        for key, reason in reasons.items()
        if _is_changed(settings, key)
    ]


def _of_core(settings: Settings, world_size: int) -> dict[str, str]:
    reasons: dict[str, str] = {}
    learner = settings.learner
    plays_rounds = learner.schedule == "rounds"
    for key in _ONLY_CONCURRENT if plays_rounds else _ONLY_IN_ROUNDS:
        reasons[key] = f"learner.schedule={learner.schedule} does not read it"
    if plays_rounds and settings.replay.window_exponent == 1:
        reasons["replay.min_samples"] = (
            "learner.schedule=rounds waits for episodes, and replay.window_exponent=1 uses all samples"
        )
    if learner.learning_rate_schedule == "constant":
        reason = "learner.learning_rate_schedule=constant does not read it"
        reasons["learner.final_learning_rate_fraction"] = reason
    for key in (field.name for field in fields(settings.judge)):
        if settings.arena.num_workers == 0:
            reasons[f"judge.{key}"] = "arena.num_workers=0 starts no worker that could judge"
        elif settings.judge.file is None and key != "file":
            reasons[f"judge.{key}"] = "judge.file=null judges no models"
    if settings.collect.server is None:
        for key in ("collect.token_file", "collect.share"):
            reasons[key] = "collect.server=null takes in no games of contributors"
    if settings.evaluator != "simulated":
        for key in (field.name for field in fields(settings.simulated)):
            reasons[f"simulated.{key}"] = f"evaluator={settings.evaluator} simulates no device"
    actors = settings.actors
    evaluates_on = settings.device if actors.device == "auto" else actors.device
    if evaluates_on in ("cpu", "mps"):
        reasons["actors.cuda_graphs"] = f"actors evaluate on a device without CUDA, {evaluates_on}"
    if world_size == 1:
        reasons["learner.timeout_seconds"] = "a single rank waits for no other"
    if plays_rounds:
        for key in ("logging.interval_seconds", "logging.interval_episodes"):
            reasons[key] = "learner.schedule=rounds writes a row for each round"
    elif settings.logging.interval_episodes is not None:
        reason = f"rows come by logging.interval_episodes={settings.logging.interval_episodes}"
        reasons["logging.interval_seconds"] = reason
    return reasons


def _of_matches(settings: Settings, game: Game | TeamGame) -> dict[str, str]:
    reasons: dict[str, str] = {}
    if isinstance(game, TeamGame) and game.spec.num_teams != 2:
        reason = f"a match is between two players, and here are {game.spec.num_teams} teams"
        reasons |= dict.fromkeys(_OF_MATCHES, reason)
        reasons["judge.file"] = "there are no solved positions of team games"
    if settings.arena.num_workers == 0:
        reasons |= dict.fromkeys(_OF_MATCHES, "arena.num_workers=0 plays no matches")
    rule = settings.release.rule
    unread = [f"release.{name}" for name in _UNREAD_BY_RULE[rule]]
    return reasons | dict.fromkeys(unread, f"release.rule={rule} does not read it")


def _section(settings: Settings, name: str) -> Any:
    return settings.sections[name] if name in settings.sections else getattr(settings, name)


def _value(settings: Settings, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(_section(settings, section), name)


def _is_changed(settings: Settings, key: str) -> bool:
    section, _, name = key.partition(".")
    (field,) = (field for field in fields(_section(settings, section)) if field.name == name)
    return _value(settings, key) != default_of(field)
