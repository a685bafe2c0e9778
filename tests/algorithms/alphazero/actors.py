"""Actors in the process of the test."""

from __future__ import annotations

from typing import Any

from ddpzero.algorithms.alphazero.actor import AlphaZeroActor, make_actor
from ddpzero.algorithms.alphazero.curriculum import CurriculumSettings
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings


def actor_on_cpu(**arguments: Any) -> AlphaZeroActor:
    """An actor of rank 0. arguments: those of make_actor that differ from the defaults here; game, network, search."""
    defaults: dict[str, Any] = {
        "settings": AlphaZeroSettings(),
        "loss": LossSettings(),
        "curriculum": CurriculumSettings(),
        "num_games": 8,
        "device": "cpu",
        "precision": "float32",
        "compile": False,
        "cuda_graphs": False,
        "cache_megabytes": 1.0,
        "rank": 0,
        "actor_index": 0,
        "seed": 1,
    }
    return make_actor(**{**defaults, **arguments})
