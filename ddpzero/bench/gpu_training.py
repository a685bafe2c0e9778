"""Steps of gpu_check.sh: the learner, trainings, and the device that both sides share."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch

from ddpzero.bench.gpu_config import Emitter, make_settings, run_config
from ddpzero.bench.gpu_sampler import GpuSampler
from ddpzero.bench.slices import LoopRates, compare_loops
from ddpzero.system.json_text import json_text
from ddpzero.system.parent import with_parent
from ddpzero.system.temporary_folder import temporary_folder

if TYPE_CHECKING:
    from ddpzero.settings import Settings


def measure_learner(options: argparse.Namespace, emit: Emitter) -> None:
    """Measure updates per second of the learner's loop, and of a bare loop that repeats the same batch."""
    settings = make_settings(run_config(options.device, options.quick))
    seconds, size = 0.8 * options.seconds, f"batch {settings.learner.batch_size}"
    try:
        from ddpzero.bench.run_loop import measure_loops
    except ModuleNotFoundError as error:
        rates = _loops_without_run(settings, torch.device(options.device), seconds)
        size += f", batches alone: {error.name} is not installed here"
    else:
        rates = measure_loops(settings, seconds)
    emit("bare loop", rates.bare, "updates/s", size)
    emit("learner", rates.loop, "updates/s", size)
    emit("learner, fraction of the bare loop", rates.fraction)


def measure_sharing(options: argparse.Namespace, emit: Emitter) -> None:
    """Measure how evaluator and learner share the GPU, in each way that there is."""
    from ddpzero.bench.sharing import emit_sharing

    settings = make_settings(run_config(options.device, options.quick))
    emit_sharing(settings, torch.device(options.device), 0.8 * options.seconds, emit)


def measure_training(options: argparse.Namespace, emit: Emitter) -> None:
    """Train Connect Four on one rank for the time of this step, and sample nvidia-smi."""
    with temporary_folder("gpu-check-") as folder:
        _train(1, options, emit, folder)


def measure_two_ranks(options: argparse.Namespace, emit: Emitter) -> None:
    """Train on two ranks: with NCCL on two GPUs, or with gloo on the CPU."""
    if options.device == "cuda" and torch.cuda.device_count() < 2:
        emit("not run", 0.0, note="one GPU: two ranks need two")
        return
    with temporary_folder("gpu-check-") as folder:
        _train(2, options, emit, folder)


def run_rank(config_file: str) -> None:
    """Run one rank of `_train`, like ddpzero.main but without hydra."""
    from ddpzero.system.parent import die_with_parent
    from ddpzero.system.signals import install_stop_signal

    die_with_parent()
    stop = install_stop_signal()
    from ddpzero.config.conversion import settings_to_dict
    from ddpzero.training.learner import train

    settings = make_settings(json.loads(Path(config_file).read_text()))
    train(settings, settings_to_dict(settings), stop)


def _train(num_ranks: int, options: argparse.Namespace, emit: Emitter, folder: Path) -> None:
    config = run_config(options.device, options.quick)
    config["runs_dir"] = str(folder)
    # The clock starts with the first episode: leave time for start and end.
    minutes = max(0.05, (options.seconds - (10 if options.quick else 40)) / 60)
    config["learner"] |= {"max_minutes": minutes, "timeout_seconds": 60.0}
    if num_ranks > 1:
        config["replay"]["min_samples"] = min(config["replay"]["min_samples"], 10_000)
    (folder / "config.json").write_text(json_text(config))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc_per_node={num_ranks}", "-m", "ddpzero.bench.gpu_steps", "rank"]
    with GpuSampler() as sampler:
        result = subprocess.run(
            with_parent([*command, "--config", str(folder / "config.json")]),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    if result.returncode != 0:
        raise RuntimeError(_last_sentence(result.stdout))
    rows = list(_metrics(folder / "gpu_check" / "metrics.jsonl"))
    if not rows:
        raise RuntimeError(f"the training wrote no row of metrics: {_last_sentence(result.stdout)}")
    second_half = rows[len(rows) // 2 :]
    for tag, unit in (
        ("speed/simulations_per_second", "simulations/s"),
        ("speed/samples_generated_per_second", "samples/s"),
        ("speed/updates_per_second", "updates/s"),
        ("time/update", ""),
        ("time/wait_for_episodes", ""),
        ("time_actors/forward", ""),
        ("evaluator/busy", ""),
        ("evaluator/positions_per_batch", "positions"),
        ("memory/gpu_gib", "GiB"),
        ("memory/cpu_gib", "GiB"),
        ("losses/total", ""),
    ):
        values = [row[tag] for row in second_half if row.get(tag) is not None]
        if values:
            emit(tag, fmean(values), unit)
    emit("rows of metrics", len(rows), note=sampler.summary())


def _loops_without_run(settings: Settings, device: torch.device, seconds: float) -> LoopRates:
    """Compare a loop that takes a new batch for each update with a bare one: it needs torch and numba alone."""
    import numpy as np

    from ddpzero.algorithms.loader import load_algorithm
    from ddpzero.bench.noise import noise
    from ddpzero.replay import ReplayBuffer
    from ddpzero.training.batches import BatchFeeder

    algorithm = load_algorithm(settings)
    updater = algorithm.make_updater(
        algorithm.make_networks(), lambda module: module, settings.learner, device, seed=0
    )
    spec, rate = algorithm.sample_spec(), settings.learner.learning_rate
    buffer = ReplayBuffer(spec, 20_000, seed=0, window_start_samples=20_000)
    buffer.add(noise(spec, 20_000, np.random.default_rng(0)))
    feeder = BatchFeeder(buffer, settings.learner.batch_size, device)
    batch = feeder.take()
    return compare_loops(
        lambda: updater.update(feeder.take(), rate),
        lambda: updater.update(batch, rate),
        device,
        seconds,
    )


def _metrics(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        yield from (json.loads(line) for line in path.read_text().splitlines())


def _last_sentence(output: str) -> str:
    """Return the last sentence that the training printed about its failure."""
    lines = [line for line in output.splitlines() if line.startswith("ddpzero: ")]
    return (lines or output.strip().splitlines() or ["it printed nothing"])[-1]
