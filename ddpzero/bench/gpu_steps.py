"""The measurements of launch/gpu_check.sh, each in a separate process:

    python -m ddpzero.bench.gpu_steps forward --device cuda --seconds 50

Prints one JSON object per figure: step, figure, value, unit, note. Does not import hydra, rich or pytest, and each step
imports only what it measures: the machine may have little more than torch and numba.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch

from ddpzero.bench.gpu_sampler import GpuSampler
from ddpzero.bench.slices import LoopRates, compare_loops
from ddpzero.system.cores import cores_of_affinity
from ddpzero.system.devices import cpu_has_bfloat16
from ddpzero.system.json_text import json_text

if TYPE_CHECKING:
    from ddpzero.algorithms.base import CompleteAlgorithm
    from ddpzero.settings import Settings

_DTYPES = ("float32", "bfloat16", "float16")
# Name, game, parameters and network: those of the experiments quick and connect_four, and a large Go network.
_NETWORKS: tuple[tuple[str, str, dict[str, Any], dict[str, Any]], ...] = (
    ("quick", "connect_four", {}, {"blocks": 3, "channels": 32, "value_head": "dense"}),
    ("connect_four", "connect_four", {}, {"blocks": 8, "channels": 128, "value_head": "dense"}),
    ("go19", "go", {"size": 19}, {"name": "nested_bottleneck", "blocks": 18, "channels": 384}),
)
_BATCH_SIZES = (64, 256, 1024, 4096)
_ACTOR_COUNTS = (1, 2, 4, 8)
# The longest wait for actors to start; on a new machine they compile first.
_MAX_WAIT_SECONDS = 120.0


class Emitter:
    """Prints each figure of a step at once, so that a step that dies leaves the figures measured before."""

    def __init__(self, step: str) -> None:
        self._step = step

    def __call__(self, figure: str, value: float, unit: str = "", note: str = "") -> None:
        row = {"step": self._step, "figure": figure, "value": value, "unit": unit, "note": note}
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
        actors = {"num_actors": _usual_num_actors(), "num_games": 512, "device": device}
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


# ------------------------------------------------------------------------- steps


def measure_agreement(options: argparse.Namespace, emit: Emitter) -> None:
    """Measure the largest difference of the device's evaluations from the CPU's in float32, for each dtype."""
    from ddpzero.evaluators.network import NetworkEvaluator
    from ddpzero.games import load_game
    from ddpzero.networks import NetworkSettings, make_network

    game = load_game("connect_four")
    torch.manual_seed(0)
    network = make_network(game, NetworkSettings(blocks=3, channels=32))
    for parameter in network.parameters():
        # Heads start at zero, where all devices would agree.
        torch.nn.init.normal_(parameter, std=0.1)
    packed = torch.randint(256, (64, game.observation_size_bytes), dtype=torch.uint8).numpy()

    def answers(device: str, precision: Any) -> torch.Tensor:
        evaluator = NetworkEvaluator(network, game, 64, 2, device, precision)
        rows = []
        # Both slots are evaluated at the same time.
        for slot in (0, 1):
            evaluator.observations(slot)[:] = packed
            evaluator.submit(slot, 64)
        for slot in (0, 1):
            logits, outcomes = evaluator.collect(slot)
            policy = torch.softmax(torch.from_numpy(logits.copy()), dim=1)
            rows.append(torch.cat([policy, torch.from_numpy(outcomes[:, :3].copy())], dim=1))
        assert torch.equal(rows[0], rows[1]), "two slots gave different answers to the same batch"
        return rows[0]

    expected = answers("cpu", "float32")
    for precision in _dtypes(options.device):
        difference = float((answers(options.device, precision) - expected).abs().max())
        emit(f"largest difference of a probability, {precision}", difference)


def measure_forward(options: argparse.Namespace, emit: Emitter) -> None:
    """Measure bare forward rates by network, dtype and batch size."""
    networks = _NETWORKS[:1] if options.quick else _NETWORKS
    batch_sizes = (8, 64) if options.quick else _BATCH_SIZES
    dtypes = _dtypes(options.device)
    seconds = options.seconds / (1.5 * len(networks) * len(batch_sizes) * len(dtypes))
    for name, game_name, parameters, network in networks:
        best = 0.0
        for precision in dtypes:
            for batch_size in batch_sizes:
                label = f"{name} {precision} batch {batch_size}"
                rate = _forward_rate(
                    options.device, game_name, parameters, network, precision, batch_size, seconds
                )
                best = max(best, rate)
                emit(label, rate, "positions/s")
        emit(f"{name}, best", best, "positions/s")


def measure_self_play(options: argparse.Namespace, emit: Emitter) -> None:
    """Measure the evaluations of 1 to 8 actors together, as a fraction of the bare forward rate of one process."""
    from ddpzero.algorithms.loader import load_algorithm

    settings = make_settings(run_config(options.device, options.quick))
    algorithm = load_algorithm(settings)
    cores = cores_of_affinity()
    counts = [1, 2] if options.quick else [1, *(n for n in _ACTOR_COUNTS[1:] if n <= cores)]
    bare_seconds = 0.05 * options.seconds
    network = vars(settings.sections["network"])
    precision = "float32" if options.device == "cpu" else "bfloat16"
    batch_size = settings.actors.num_games
    bare = _forward_rate(
        options.device, "connect_four", {}, network, precision, batch_size, bare_seconds
    )
    emit(f"bare forward, {precision} batch {batch_size}", bare, "positions/s")
    seconds = 0.6 * options.seconds / len(counts)
    for count in counts:
        with GpuSampler() as sampler:
            evaluations, simulations = _self_play_rates(
                settings, algorithm, count, options.device, precision, seconds
            )
        actors = "1 actor" if count == 1 else f"{count} actors"
        emit(actors, simulations, "simulations/s", sampler.summary())
        emit(f"{actors}, fraction of the bare forward", evaluations / bare)


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


def measure_training(options: argparse.Namespace, emit: Emitter) -> None:
    """Train Connect Four on one rank for the time of this step, and sample nvidia-smi."""
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        _train(1, options, emit, Path(folder))


def measure_two_ranks(options: argparse.Namespace, emit: Emitter) -> None:
    """Train on two ranks: with NCCL on two GPUs, or with gloo on the CPU."""
    if options.device == "cuda" and torch.cuda.device_count() < 2:
        emit("not run", 0.0, note="one GPU: two ranks need two")
        return
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        _train(2, options, emit, Path(folder))


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


STEPS = {
    "agreement": measure_agreement,
    "forward": measure_forward,
    "self_play": measure_self_play,
    "learner": measure_learner,
    "two_ranks": measure_two_ranks,
    "training": measure_training,
}


# ----------------------------------------------------------------------- their parts


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
            [*command, "--config", str(folder / "config.json")],
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


def _self_play_rates(
    settings: Settings,
    algorithm: CompleteAlgorithm,
    num_actors: int,
    device: str,
    precision: Any,
    seconds: float,
) -> tuple[float, float]:
    """Return evaluations and simulations per second of num_actors actors together."""
    from dataclasses import replace

    from ddpzero.actors import ActorPool, WeightsChannel

    actors = replace(settings.actors, num_actors=num_actors, precision=precision)
    updater = algorithm.make_updater(
        algorithm.make_networks(), lambda module: module, settings.learner, torch.device("cpu"), 0
    )
    weights = updater.actor_weights()
    spec = algorithm.actor_spec(actors, device)
    with (
        WeightsChannel(weights) as channel,
        ActorPool(
            spec,
            channel,
            num_actors=num_actors,
            rank=0,
            seed=0,
            sample_spec=algorithm.sample_spec(),
        ) as pool,
    ):
        channel.publish(weights, 0)
        deadline = time.monotonic() + _MAX_WAIT_SECONDS
        heard: set[int] = set()
        # Wait until every actor has finished an episode.
        while len(heard) < num_actors:
            heard |= {episode.info["actor_index"] for episode in pool.poll(0.1)}
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(heard)} of {num_actors} actors were at work in time.")
        pool.take_metrics()
        sums = {"evaluations": 0.0, "simulations": 0.0}
        started = time.monotonic()
        while time.monotonic() < started + max(seconds, 2.0):
            pool.poll(0.1)
            figures = pool.take_metrics()
            for name in sums:
                sums[name] += figures.get(name, 0.0)
        elapsed = time.monotonic() - started
    return sums["evaluations"] / elapsed, sums["simulations"] / elapsed


def _forward_rate(
    device: str,
    game_name: str,
    parameters: dict[str, Any],
    network: dict[str, Any],
    precision: Any,
    batch_size: int,
    seconds: float,
) -> float:
    from ddpzero.evaluators.network import NetworkEvaluator
    from ddpzero.evaluators.rate import bare_forward_rate
    from ddpzero.games import load_game
    from ddpzero.networks import NetworkSettings, make_network

    game = load_game(game_name, **parameters)
    evaluator = NetworkEvaluator(
        make_network(game, NetworkSettings(**network)), game, batch_size, 1, device, precision
    )
    # Warm up: libraries select algorithms, and the GPU raises its clocks.
    bare_forward_rate(evaluator, batch_size, 0.25 * seconds)
    return bare_forward_rate(evaluator, batch_size, seconds)


def _metrics(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        yield from (json.loads(line) for line in path.read_text().splitlines())


def _last_sentence(output: str) -> str:
    """Return the last sentence that the training printed about its failure."""
    lines = [line for line in output.splitlines() if line.startswith("ddpzero: ")]
    return (lines or output.strip().splitlines() or ["it printed nothing"])[-1]


def _dtypes(device: str) -> tuple[str, ...]:
    """Return the dtypes to measure: on a CPU without float16, since few compute in it, and bfloat16 only if it can."""
    if device != "cpu":
        return _DTYPES
    return _DTYPES[:2] if cpu_has_bfloat16() else _DTYPES[:1]


def _usual_num_actors() -> int:
    return max(1, min(8, cores_of_affinity() - 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=(*STEPS, "rank"))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--config")
    options = parser.parse_args()
    if options.step == "rank":
        run_rank(options.config)
        return
    torch.set_num_threads(1)
    STEPS[options.step](options, Emitter(options.step))


if __name__ == "__main__":
    main()
