"""Steps of gpu_check.sh: what the device computes, and how fast, without a search."""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch

from ddpzero.bench.gpu_config import Emitter
from ddpzero.system.devices import cpu_has_bfloat16

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
PLAYED: tuple[tuple[str, dict[str, Any], int, int], ...] = (
    ("connect_four", {}, 4, 64),
    ("go", {"size": 9}, 4, 64),
    ("connect_four", {}, 10, 128),
    ("go", {"size": 9}, 10, 128),
)


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
                rate = forward_rate(
                    options.device, game_name, parameters, network, precision, batch_size, seconds
                )
                best = max(best, rate)
                emit(label, rate, "positions/s")
        emit(f"{name}, best", best, "positions/s")


def measure_graphs(options: argparse.Namespace, emit: Emitter) -> None:
    """Measure an evaluator with and without CUDA graphs, with one batch and with two under way, copies included."""
    game_name, parameters, blocks, channels = PLAYED[0]
    network = {"blocks": blocks, "channels": channels}
    batch_sizes = (8, 64) if options.quick else _BATCH_SIZES_OF_GRAPHS
    ways = ((1, False), (1, True), (2, False), (2, True))
    seconds = options.seconds / (2.0 * len(batch_sizes) * (1 + len(ways)))
    for batch_size in batch_sizes:
        label = f"{channels}x{blocks} batch {batch_size}"
        bare = forward_rate(
            options.device,
            game_name,
            parameters,
            network,
            fast_precision(options.device),
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


def _evaluation_rate(
    device: str, batch_size: int, num_slots: int, cuda_graphs: bool, seconds: float
) -> float:
    """Return positions per second of an evaluator in this process, with a batch under way in each slot."""
    from ddpzero.evaluators.network import NetworkEvaluator
    from ddpzero.games import load_game
    from ddpzero.networks import NetworkSettings, make_network

    game_name, parameters, blocks, channels = PLAYED[0]
    game = load_game(game_name, **parameters)
    network = make_network(game, NetworkSettings(blocks=blocks, channels=channels))
    evaluator = NetworkEvaluator(
        network,
        game,
        batch_size,
        num_slots,
        device,
        fast_precision(device),
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


def forward_rate(
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


def _dtypes(device: str) -> tuple[str, ...]:
    """Return the dtypes to measure: on a CPU without float16, since few compute in it, and bfloat16 only if it can."""
    if device != "cpu":
        return _DTYPES
    return _DTYPES[:2] if cpu_has_bfloat16() else _DTYPES[:1]


def fast_precision(device: str) -> Any:
    return "float32" if device == "cpu" else "bfloat16"
