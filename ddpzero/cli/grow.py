"""Runs `ddpzero grow`: writes a model with a larger network that computes the same function."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.algorithms.loader import errors_of_plugin, load_algorithm, load_plugin
from ddpzero.config.conversion import settings_from_dict, with_defaults
from ddpzero.run.finder import find_run, why_unknown
from ddpzero.run.folder import config_text
from ddpzero.run.models import write_model
from ddpzero.system.errors import UserError, require

_MAX_DIGITS = 18


def run_grow(source: str, overrides: Sequence[str], output: Path, seed: int) -> None:
    """Write the model to `output` and print what it grew from. Raises UserError.

    source: a run or a checkpoint. overrides: settings of the larger network, "network.blocks=4".
    """
    from ddpzero.run.checkpoint import weights_to_bytes
    from ddpzero.run.checkpoint_content import load_weights

    require(not os.path.lexists(output), f"--output {output} exists already: name another folder.")
    changes = dict(_change(override) for override in overrides)
    folder = find_run(source)
    if folder is None:
        raise UserError(f"{source!r} is unknown: {why_unknown(source)}")
    released = load_weights(folder)
    config = with_defaults(released.config)
    algorithm, plugin = _algorithm(config, released.path)
    with errors_of_plugin(plugin, "grow"):
        grown = algorithm.grow(released.weights, changes, seed)
    for key, value in grown.settings.items():
        section, _, name = key.partition(".")
        config[section][name] = value
    _algorithm(config, output)
    weights = weights_to_bytes(grown.weights)
    write_model(output, weights, config_text(config).encode(), released.counters, released.model)
    print(f"{released.model}: {grown.sentence}")
    words = [f"{key}={value}" for key, value in grown.settings.items() if isinstance(value, int)]
    print(f"{output} is the larger model; to train it: init_from={output} {' '.join(words)}")


def _change(override: str) -> tuple[str, int]:
    """Return the key and the value of a setting of the larger network."""
    key, _, text = override.lstrip("+").partition("=")
    is_number = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
    require(is_number and int(text) >= 1, f"{key}={text[:80]} must be a whole number from 1 on.")
    return key, int(text)


def _algorithm(config: dict[str, Any], path: Path) -> tuple[CompleteAlgorithm, str]:
    """Return the algorithm of a model's config, and the plugin as errors name it."""
    try:
        settings = settings_from_dict(config)
    except ValueError as error:
        raise UserError(f"The config of {path} cannot be used here: {error}") from None
    return load_algorithm(settings), load_plugin(settings.algorithm).key
