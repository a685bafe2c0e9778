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
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

import torch

from ddpzero.bench.gpu_check import FRACTION_OF_FORWARD
from ddpzero.bench.gpu_sampler import GpuSampler
from ddpzero.bench.slices import LoopRates, compare_loops
from ddpzero.system.cores import cores_of_affinity
from ddpzero.system.devices import cpu_has_bfloat16
from ddpzero.system.json_text import json_text

if TYPE_CHECKING:
    from ddpzero.actors import ActorPool
    from ddpzero.settings import Settings

_DTYPES = ("float32", "bfloat16", "float16")
# Name, game, parameters and network: those of the experiments quick and connect_four, and a large Go network.
_NETWORKS: tuple[tuple[str, str, dict[str, Any], dict[str, Any]], ...] = (
    ("quick", "connect_four", {}, {"blocks": 3, "channels": 32, "value_head": "dense"}),
    ("connect_four", "connect_four", {}, {"blocks": 8, "channels": 128, "value_head": "dense"}),
    ("go19", "go", {"size": 19}, {"name": "nested_bottleneck", "blocks": 18, "channels": 384}),
)
_BATCH_SIZES = (64, 256, 1024, 4096)
# Small ones are where CUDA graphs matter.
_BATCH_SIZES_OF_GRAPHS = (8, 64, 256, 1024)
# Game, parameters, blocks and channels of which self-play is compared with the bare forward rate.
_PLAYED: tuple[tuple[str, dict[str, Any], int, int], ...] = (
    ("connect_four", {}, 4, 64),
    ("go", {"size": 9}, 4, 64),
    ("connect_four", {}, 10, 128),
    ("go", {"size": 9}, 10, 128),
)
# The longest wait until all actors play; on a new machine they compile first.
_MAX_WAIT_SECONDS = 75.0
# Actors report once a second: of fewer seconds nothing can be said.
_WINDOW_SECONDS = 3.0


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


@dataclass(frozen=True)
class Way:
    """How positions of self-play are evaluated: by whom, and on a GPU how."""

    evaluator: Literal["shared", "local"]
    num_actors: int
    cuda_graphs: bool = True
    max_under_way: int = 2

    def __str__(self) -> str:
        actors = "1 actor" if self.num_actors == 1 else f"{self.num_actors} actors"
        graphs = "" if self.cuda_graphs else ", no graphs"
        under_way = "" if self.max_under_way == 2 else ", one batch under way"
        return f"{self.evaluator}, {actors}{graphs}{under_way}"


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


def measure_graphs(options: argparse.Namespace, emit: Emitter) -> None:
    """Measure an evaluator with and without CUDA graphs, with one batch and with two under way, copies included."""
    game_name, parameters, blocks, channels = _PLAYED[0]
    network = {"blocks": blocks, "channels": channels}
    batch_sizes = (8, 64) if options.quick else _BATCH_SIZES_OF_GRAPHS
    ways = ((1, False), (1, True), (2, False), (2, True))
    seconds = options.seconds / (2.0 * len(batch_sizes) * (1 + len(ways)))
    for batch_size in batch_sizes:
        label = f"{channels}x{blocks} batch {batch_size}"
        bare = _forward_rate(
            options.device,
            game_name,
            parameters,
            network,
            _precision(options.device),
            batch_size,
            seconds,
        )
        emit(f"{label}, bare forward", bare, "positions/s")
        for num_slots, cuda_graphs in ways:
            figure = f"{label}, {num_slots} under way, {'graphs' if cuda_graphs else 'no graphs'}"
            try:
                rate = _evaluation_rate(
                    options.device, batch_size, num_slots, cuda_graphs, 0.5 * seconds
                )
            except Exception as error:
                emit.failed(figure, error)
            else:
                emit(figure, rate, "positions/s", f"{rate / bare:.3g} of the bare forward")


def measure_self_play(options: argparse.Namespace, emit: Emitter) -> None:
    """Measure 1 to 8 actors with a shared evaluator and with a network each, with and without CUDA graphs.

    In the order of their importance, until the time is over.
    """
    most = 2 if options.quick else _usual_num_actors()
    ways = [Way("shared", most), Way("local", most)]
    if not options.quick:
        counts = [count for count in (1, 4, 2) if count < most]
        ways += [Way("shared", most, cuda_graphs=False), Way("shared", most, max_under_way=1)]
        ways += [Way(who, count) for count in counts for who in ("shared", "local")]
        ways.append(Way("local", most, cuda_graphs=False))
    until = time.monotonic() + options.seconds
    _compare_with_forward(options, emit, *_PLAYED[0], ways, until)


def measure_networks(options: argparse.Namespace, emit: Emitter) -> None:
    """Measure self-play with the shared evaluator for other games and networks."""
    most = 1 if options.quick else _usual_num_actors()
    until = time.monotonic() + options.seconds
    for played in _PLAYED[2:3] if options.quick else _PLAYED[1:]:
        _compare_with_forward(options, emit, *played, [Way("shared", most)], until)


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
    "graphs": measure_graphs,
    "self_play": measure_self_play,
    "networks": measure_networks,
    "learner": measure_learner,
    "sharing": measure_sharing,
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


def _compare_with_forward(
    options: argparse.Namespace,
    emit: Emitter,
    game_name: str,
    parameters: dict[str, Any],
    blocks: int,
    channels: int,
    ways: Sequence[Way],
    until: float,
) -> None:
    """Measure self-play in several ways, as a fraction of the best bare forward rate of one process.

    until: time.monotonic after which no other way is tried.
    """
    size = f"{game_name} {channels}x{blocks}"
    network = {"blocks": 1, "channels": 16} if options.quick else {"blocks": blocks}
    network.setdefault("channels", channels)
    num_games = 16 if options.quick else 512
    precision = _precision(options.device)
    fractions: list[float] = []
    left_out: list[str] = []
    try:
        settings = make_settings(
            _played_config(options, game_name, parameters, network, num_games, precision)
        )
        # As large as a batch of a group of one actor, and of one of several.
        bare = max(
            _forward_rate(
                options.device, game_name, parameters, network, precision, batch, seconds=0.5
            )
            for batch in (num_games // 2, 4 * num_games)
        )
    except Exception as error:
        emit.failed(f"{size}, bare forward", error)
        return
    note = f"with a network of {network['channels']}x{network['blocks']}" if options.quick else ""
    emit(f"{size}, bare forward, {precision}", bare, "positions/s", note)
    for way in ways:
        if fractions and time.monotonic() > until:
            left_out.append(str(way))
            continue
        try:
            with GpuSampler() as sampler:
                evaluations, simulations = _self_play_rates(settings, way, options)
        except Exception as error:
            emit.failed(f"{size}, {way}", error)
            continue
        fractions.append(evaluations / bare)
        emit(f"{size}, {way}", simulations, "simulations/s", sampler.summary())
        emit(f"{size}, {way}, of the bare forward", fractions[-1])
    if fractions:
        emit(f"{size}, {FRACTION_OF_FORWARD}", max(fractions))
    if left_out:
        emit("not run", 0.0, note=f"no time left for: {'; '.join(left_out)}")


def _played_config(
    options: argparse.Namespace,
    game_name: str,
    parameters: dict[str, Any],
    network: dict[str, Any],
    num_games: int,
    precision: str,
) -> dict[str, Any]:
    config = run_config(options.device, options.quick)
    config["game"] = {"name": game_name, **parameters}
    config["network"] = network
    config["actors"] |= {"num_games": num_games, "precision": precision}
    return config


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
    settings: Settings, way: Way, options: argparse.Namespace
) -> tuple[float, float]:
    """Return evaluations and simulations per second of all actors together."""
    from ddpzero.actors import ActorPool, WeightsChannel
    from ddpzero.algorithms.loader import load_algorithm

    algorithm = load_algorithm(settings)
    actors = replace(settings.actors, num_actors=way.num_actors, cuda_graphs=way.cuda_graphs)
    updater = algorithm.make_updater(
        algorithm.make_networks(), lambda module: module, settings.learner, torch.device("cpu"), 0
    )
    weights = updater.actor_weights()
    evaluator = None
    if way.evaluator == "shared":
        evaluator = algorithm.evaluator_spec(actors, options.device, None, is_repeatable=False)
        assert evaluator is not None
        arguments = {**evaluator.arguments, "max_under_way": way.max_under_way}
        evaluator = replace(evaluator, arguments=arguments)
    with (
        WeightsChannel(weights) as channel,
        ActorPool(
            algorithm.actor_spec(actors, options.device),
            channel,
            num_actors=way.num_actors,
            rank=0,
            seed=0,
            sample_spec=algorithm.sample_spec(),
            max_restarts=0,
            evaluator=evaluator,
        ) as pool,
    ):
        channel.publish(weights, 0)
        _wait_until_all_play(pool)
        figures = _figures_of(pool, 1.0 if options.quick else _WINDOW_SECONDS)
    seconds = _seconds_of_an_actor(figures, way.num_actors)
    return figures["evaluations"] / seconds, figures["simulations"] / seconds


def _wait_until_all_play(pool: ActorPool) -> None:
    deadline = time.monotonic() + _MAX_WAIT_SECONDS
    while True:
        started = time.monotonic()
        figures = _figures_of(pool, _WINDOW_SECONDS)
        passed = time.monotonic() - started
        # They report once a second, so up to a third of this time is still to be reported.
        if _seconds_of_an_actor(figures, pool.num_actors) >= 0.6 * passed:
            return
        if time.monotonic() > deadline:
            at_work = figures["seconds"] / passed
            raise RuntimeError(
                f"after {_MAX_WAIT_SECONDS:g} s, {at_work:.1f} of {pool.num_actors} actors play"
            )


def _figures_of(pool: ActorPool, seconds: float) -> Counter[str]:
    """Return what actors report within so many seconds, or until they have reported anything."""
    pool.take_metrics()
    figures: Counter[str] = Counter()
    started = time.monotonic()
    while time.monotonic() < started + seconds or (
        figures["evaluations"] == 0 and time.monotonic() < started + 10 * seconds
    ):
        pool.poll(0.1)
        figures.update(pool.take_metrics())
    return figures


def _seconds_of_an_actor(figures: Counter[str], num_actors: int) -> float:
    """Return the seconds of which actors have reported, on average."""
    names = ("seconds", "seconds_waiting_for_rank", "seconds_waiting_for_weights")
    return max(1e-3, sum(figures[name] for name in names) / num_actors)


def _evaluation_rate(
    device: str, batch_size: int, num_slots: int, cuda_graphs: bool, seconds: float
) -> float:
    """Return positions per second of an evaluator in this process, with a batch under way in each slot."""
    from ddpzero.evaluators.network import NetworkEvaluator
    from ddpzero.games import load_game
    from ddpzero.networks import NetworkSettings, make_network

    game_name, parameters, blocks, channels = _PLAYED[0]
    game = load_game(game_name, **parameters)
    network = make_network(game, NetworkSettings(blocks=blocks, channels=channels))
    evaluator = NetworkEvaluator(
        network,
        game,
        batch_size,
        num_slots,
        device,
        _precision(device),
        cuda_graphs=cuda_graphs,
    )
    for slot in (*range(num_slots), *range(num_slots)):
        evaluator.submit(slot, batch_size)
        evaluator.collect(slot)
    for slot in range(num_slots):
        evaluator.submit(slot, batch_size)
    started, num_batches = time.perf_counter(), 0
    while num_batches == 0 or time.perf_counter() < started + seconds:
        slot = num_batches % num_slots
        evaluator.collect(slot)
        evaluator.submit(slot, batch_size)
        num_batches += 1
    rate = num_batches * batch_size / (time.perf_counter() - started)
    for slot in range(num_slots):
        evaluator.collect(slot)
    return rate


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


def _precision(device: str) -> Any:
    return "float32" if device == "cpu" else "bfloat16"


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
