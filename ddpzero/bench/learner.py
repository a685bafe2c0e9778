"""Benchmarks one learner on random samples. Called by `ddpzero bench learner`; works with any plugin.

An update includes all work of the learner's loop: sampling a batch, copying it to the device, one optimizer step.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import numpy as np
import torch

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.noise import noise
from ddpzero.replay import ReplayBuffer
from ddpzero.settings import Settings
from ddpzero.system.devices import choose_device, synchronize
from ddpzero.system.machine import usable_memory
from ddpzero.system.measurements import Measurement, game_settings
from ddpzero.system.memory import check_memory
from ddpzero.training.batches import BatchFeeder
from ddpzero.training.preflight import run_needs

_SLICE_SECONDS = 0.25
# Enough to spread batches over memory as in a run, yet generated quickly.
_MAX_SAMPLES = 50_000


def bench_learner(settings: Settings, seconds: float = 10.0, seed: int = 0) -> list[Measurement]:
    """Update for `seconds`; return the median updates and samples per second over slices of that time."""
    learner = settings.learner
    torch.set_num_threads(learner.num_threads)
    torch.manual_seed(seed)
    device = choose_device(settings.device, local_rank=0, local_world_size=1)
    algorithm = load_algorithm(settings)
    on_gpu = device.type == "cuda"
    needs = run_needs(settings, algorithm, 0, on_gpu, actors_on_gpu=False)
    # The buffer here is small, and a GPU reports its own out-of-memory errors.
    check_memory([need for need in needs if not (need.is_slow or need.on_gpu)], usable_memory())
    updater = algorithm.make_updater(
        algorithm.make_networks(), lambda module: module, learner, device, seed=seed
    )
    num_samples = min(settings.replay.capacity, _MAX_SAMPLES)
    spec = algorithm.sample_spec()
    buffer = ReplayBuffer(spec, num_samples, seed=seed, window_start_samples=num_samples)
    buffer.add(noise(spec, num_samples, np.random.default_rng(seed)))
    feeder = BatchFeeder(buffer, learner.batch_size, device)

    def updates_per_second() -> float:
        num_updates, started = 0, time.perf_counter()
        while time.perf_counter() < started + _SLICE_SECONDS:
            updater.update(feeder.take(), learner.learning_rate)
            num_updates += 1
        synchronize(device)
        return num_updates / (time.perf_counter() - started)

    # Warm up: compiles, and fills caches.
    updates_per_second()
    deadline = time.perf_counter() + seconds
    samples = [updates_per_second()]
    while time.perf_counter() < deadline:
        samples.append(updates_per_second())
    conditions: dict[str, Any] = {
        "model": algorithm.model_tag(),
        "batch_size": learner.batch_size,
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
        Measurement("learner", algorithm.game.name, name, value, "1/s", conditions)
        for name, value in (
            ("updates_per_second", median(samples)),
            ("samples_per_second", median(samples) * learner.batch_size),
        )
    ]
