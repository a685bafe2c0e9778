"""What the steps of gpu_check.sh share: the training that is measured, and how figures are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ddpzero.system.cores import cores_of_affinity
from ddpzero.system.json_text import json_text

if TYPE_CHECKING:
    from ddpzero.settings import Settings


class Emitter:
    """Prints each figure of a step at once, so that a step that dies leaves the figures measured before."""

    def __init__(self, step: str) -> None:
        self._step = step

    def __call__(self, figure: str, value: float, unit: str = "", note: str = "") -> None:
        row = {"step": self._step, "figure": figure, "value": value, "unit": unit, "note": note}
        print(json_text(row), flush=True)

    def failed(self, figure: str, error: Exception) -> None:
        """Print a figure that could not be measured; the step goes on."""
        lines = str(error).splitlines() or [""]
        row = {
            "step": self._step,
            "figure": figure,
            "problem": f"{type(error).__name__}: {lines[0]}",
        }
        print(json_text(row), flush=True)


def run_config(device: str, is_quick: bool) -> dict[str, Any]:
    """Return the config of the training that is measured: +experiment=connect_four +hardware=gpu24gb, or a tiny one."""
    if is_quick:
        network: dict[str, Any] = {"blocks": 1, "channels": 16}
        actors: dict[str, Any] = {"num_actors": 1, "num_games": 16, "device": device}
        replay = {"capacity": 20_000, "min_samples": 500}
        learner = {"batch_size": 64, "steps_per_epoch": 50}
        simulations = 8
    else:
        network = {"blocks": 8, "channels": 128, "value_head": "dense"}
        actors = {"num_actors": usual_num_actors(), "num_games": 512, "device": device}
        replay = {"capacity": 2_000_000, "min_samples": 50_000}
        learner = {"batch_size": 1024, "steps_per_epoch": 1000, "warmup_steps": 500}
        simulations = 64
    return {
        "run_name": "gpu_check",
        "runs_dir": "runs",
        "seed": 0,
        "device": device,
        "init_from": None,
        "algorithm": {"plugin": "ddpzero.algorithms.alphazero", "opening_random_plies": 4},
        "game": {"name": "connect_four"},
        "network": network,
        "search": {"num_simulations": simulations, "value_scale": 0.3},
        "loss": {},
        "curriculum": {},
        "actors": actors,
        "replay": replay,
        "learner": learner,
        "arena": {"num_workers": 0},
        "checkpoint": {},
        "logging": {"interval_seconds": 0.5 if is_quick else 5.0},
    }


def make_settings(config: dict[str, Any]) -> Settings:
    """Return the settings of a config in which defaults are left out; does not use hydra."""
    from ddpzero.config.conversion import settings_from_dict, with_defaults

    return settings_from_dict(with_defaults(config))


def usual_num_actors() -> int:
    return max(1, min(8, cores_of_affinity() - 1))
