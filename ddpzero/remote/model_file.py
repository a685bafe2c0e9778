"""A released model as one file: what a server hands out, with everything that self-play and matches need.

It is a safetensors file. `released/<name>` are the weights for players. `actor/<name>` are tensors that actors have
beside those, or with other values, such as the number of simulations. The metadata is JSON: config, counters, ...
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ddpzero.run.divergence import weights_problem
from ddpzero.system.guarded_files import UnreadableFileError, is_count, printable, read_tensors
from ddpzero.system.json_text import json_text

FORMAT = 1
_KEY = "ddpzero"
_RELEASED, _ACTOR = "released/", "actor/"


@dataclass(frozen=True)
class ModelFile:
    """The content of such a file. weights: for players. actor_weights: for self-play. config: nested plain values."""

    model: str
    run: str
    config: dict[str, Any]
    counters: dict[str, Any]
    weights: dict[str, torch.Tensor]
    actor_weights: dict[str, torch.Tensor]

    @property
    def weights_version(self) -> int:
        return int(self.counters["weights_version"])


def model_file_bytes(model: ModelFile) -> bytes:
    """Return the content of a file."""
    shared = {
        name
        for name, value in model.actor_weights.items()
        if name in model.weights and torch.equal(value.cpu(), model.weights[name].cpu())
    }
    own = {name: value for name, value in model.actor_weights.items() if name not in shared}
    tensors = {_RELEASED + name: value for name, value in model.weights.items()}
    tensors |= {_ACTOR + name: value for name, value in own.items()}
    description = {
        "format": FORMAT,
        "model": model.model,
        "run": model.run,
        "config": model.config,
        "counters": model.counters,
        "actor_weights": list(model.actor_weights),
    }
    dense = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    return save(dense, {_KEY: json_text(description)})


def read_model_file(path: Path) -> ModelFile:
    """Read a file. Raises UnreadableFileError if it is damaged, of another format, or has unsound weights."""
    tensors = read_tensors(path)
    try:
        with safe_open(path, "pt") as file:
            description = json.loads((file.metadata() or {})[_KEY])
        model = _model(description, tensors)
    except (KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
        reason = printable(" ".join(str(error).split())[:200])
        raise UnreadableFileError(
            f"{path} cannot be read: it is not a model of ddpzero ({reason})."
        ) from None
    if problem := weights_problem(model.weights):
        raise UnreadableFileError(f"{path} cannot be used: {printable(problem[:200])}.")
    return model


def _model(description: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> ModelFile:
    if description["format"] != FORMAT:
        raise ValueError(f"its format is {description['format']}, not {FORMAT}")
    weights = {
        name.removeprefix(_RELEASED): value
        for name, value in tensors.items()
        if name.startswith(_RELEASED)
    }
    actor_weights = {
        name: tensors[_ACTOR + name] if _ACTOR + name in tensors else weights[name]
        for name in description["actor_weights"]
    }
    config, counters = description["config"], description["counters"]
    names = description["model"], description["run"]
    if not (
        isinstance(config, dict)
        and isinstance(counters, dict)
        and is_count(counters.get("weights_version"))
        # An int32 in samples.
        and counters["weights_version"] < 2**31
        and is_count(counters.get("samples_trained"))
        and all(isinstance(name, str) for name in names)
    ):
        raise ValueError("its description is damaged")
    return ModelFile(*names, config, counters, weights, actor_weights)
