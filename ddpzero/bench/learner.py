"""Benchmarks one learner on random samples. Called by `ddpzero bench learner`; works with any plugin.

Two loops take turns: that of a run, with all that belongs to an update there (batches, learning rate, metrics,
publications, a look at the actors), and a bare one, which updates on the same batch again and again.
"""

from __future__ import annotations

from typing import Any

import torch

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.run_loop import measure_loops
from ddpzero.settings import Settings
from ddpzero.system.devices import choose_device
from ddpzero.system.machine import usable_memory
from ddpzero.system.measurements import Measurement, game_settings
from ddpzero.system.memory import check_memory
from ddpzero.training.preflight import run_needs


def bench_learner(settings: Settings, seconds: float = 10.0, seed: int = 0) -> list[Measurement]:
    """Update for `seconds`; return the median updates and samples per second over slices of that time."""
    learner = settings.learner
    torch.set_num_threads(learner.num_threads)
    device = choose_device(settings.device, local_rank=0, local_world_size=1)
    algorithm = load_algorithm(settings)
    needs = run_needs(settings, algorithm, 0, device.type == "cuda", actors_on_gpu=False)
    # The buffer here is small, and a GPU reports its own out-of-memory errors.
    check_memory([need for need in needs if not (need.is_slow or need.on_gpu)], usable_memory())
    rates = measure_loops(settings, seconds, seed)
    conditions: dict[str, Any] = {
        "model": algorithm.model_tag(),
        "batch_size": learner.batch_size,
        "gradient_accumulation": learner.gradient_accumulation,
        "optimizer": learner.optimizer,
        "precision": learner.precision,
        "compile": learner.compile,
        "device": str(device),
        "num_threads": learner.num_threads,
        **game_settings(settings.game.parameters),
        "seconds": seconds,
        "seed": seed,
    }
    return [
        Measurement("learner", algorithm.game.name, name, value, unit, conditions)
        for name, value, unit in (
            ("updates_per_second", rates.loop, "1/s"),
            ("samples_per_second", rates.loop * learner.batch_size, "1/s"),
            ("bare_updates_per_second", rates.bare, "1/s"),
            ("fraction_of_bare_loop", rates.fraction, ""),
        )
    ]
