"""Settings on the command line of `ddpzero`, key=value: which words are settings, and which command reads which keys.

Used by arguments.py and argument_errors.py; imports only argparse.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

# Hydra's overrides: key=value, +key=value, ++key=value, ~key. No path looks like one, since a key contains no slash.
OVERRIDE = re.compile(r"\+{0,2}[A-Za-z_][\w.@]*=|~[A-Za-z_]")

# The settings that each command reads. A name includes all keys below it; "..." includes all groups of the algorithm.
READS_GAME = ("game", "experiment")
READS_SEARCH = ("game", "search", "evaluator", "actors.num_games", "experiment", "hardware")
_READ_WITH_NETWORK = (
    *("network", "device", "actors.device", "actors.precision"),
    *("actors.compile", "actors.cuda_graphs", "actors.num_threads", "init_from", "runs_dir"),
)
# Keys of the command itself, which it checks when it reads them.
READS_OWN = ("own",)
READS_SIZE = ("network.blocks", "network.channels")
READS_LEARNER = (
    *("game", "...", "experiment", "hardware", "device", "replay.capacity"),
    *("learner.batch_size", "learner.gradient_accumulation", "learner.optimizer"),
    *("learner.learning_rate", "learner.weight_decay"),
    *("learner.gradient_clip", "learner.ema_decay", "learner.precision", "learner.compile"),
    *("learner.num_threads", "learner.publish_interval_steps"),
)
# Commands that choose evaluators themselves.
READS_EVALUATOR = (*READS_LEARNER, "actors")
READS_PIPELINE = (*READS_EVALUATOR, "evaluator", "simulated")
READS_SCALING = (*READS_PIPELINE, "learner", "replay", "store", "checkpoint.keep_last")
READS_CHECKPOINT = (*READS_LEARNER, "replay.min_samples", "store", "checkpoint.keep_last")
READS_MEMORY = (*READS_EVALUATOR, "replay.min_samples", "learner")
READS_PEERS = ("game", "search", "network", "actors.precision", "experiment", "hardware")
READS_TUNE = (*READS_PIPELINE, "learner", "replay", "arena", "data")
# All other groups belong to algorithms.
_CORE_KEYS = (
    *("run_name", "runs_dir", "init_from", "seed", "device", "game", "actors", "replay", "learner"),
    *("checkpoint", "logging", "hydra", "sweep", *READS_GAME, "hardware", "evaluator", "simulated"),
)


def problem_of_override(override: str, options: argparse.Namespace) -> str | None:
    """Return the end of the sentence that refuses a setting without effect; None if it has an effect."""
    key = key_of(override)
    if _has_effect(key, options.reads):
        return None
    if options.command == "bench search" and _has_effect(key, _READ_WITH_NETWORK):
        if "evaluator=network" in options.overrides:
            return None
        return " without a network; add evaluator=network, or remove it"
    if key == "seed":
        return "; write --seed N"
    reads = ["groups of the algorithm" if name == "..." else name for name in options.reads]
    return f", which reads {', '.join(reads)}; remove it"


def key_of(override: str) -> str:
    """Return "game.size" for "++game.size=9", and "search" for "search@_global_.search=puct"."""
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def may_be_path(override: str) -> bool:
    """Return whether a word that is read as a setting has no key of the core, and so may be meant as a path."""
    return key_of(override).partition(".")[0] not in _CORE_KEYS


def _has_effect(key: str, reads: Sequence[str]) -> bool:
    """Return whether a command reads this key. reads: keys and groups; "..." includes all groups of plugins."""
    if reads == READS_OWN:
        return True
    if "..." in reads and key.partition(".")[0] not in _CORE_KEYS:
        return True
    return any(key == known or key.startswith(f"{known}.") for known in reads)
