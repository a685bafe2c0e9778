"""Benchmarks a rank's evaluator process against a network in the actor. Called by `ddpzero bench evaluator`.

Both evaluate the same batches, in turn, in slices so short that other processes slow down both alike. The asking
process does nothing else, and has two requests in flight, as an actor has.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median

import numpy as np
import torch

from ddpzero.actors.connection import ActorConnection
from ddpzero.actors.crash_report import CrashReport
from ddpzero.actors.evaluator import EvaluatorArguments, EvaluatorSpec, evaluator_main
from ddpzero.actors.exchange import Exchange
from ddpzero.actors.supervised import SupervisedActor
from ddpzero.actors.weights import WeightsChannel
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.self_play import require_cpu
from ddpzero.bench.untrained import untrained_updater
from ddpzero.evaluators.base import Evaluator
from ddpzero.evaluators.lanes import LaneEvaluator, layout_for
from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.games import Game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.settings import Settings, SimulatedSettings
from ddpzero.system.errors import UserError, require
from ddpzero.system.measurements import Measurement, game_settings

_SLICE_SECONDS = 0.25
_ROUND_TRIP_POSITIONS = 64
_AT_ONCE = SimulatedSettings(batch_latency_ms=0.0, positions_per_second=1e12, noise=0.0)


def bench_evaluator(settings: Settings, seconds: float, seed: int) -> list[Measurement]:
    """Return the round trip of a request to an evaluator that does nothing, and the rates of both evaluators.

    A batch has half of actors.num_games positions. Raises UserError if actors of this algorithm evaluate otherwise, or
    a GPU is chosen.
    """
    require_cpu(settings)
    algorithm = load_algorithm(settings)
    game, network = algorithm.game, settings.sections.get("network")
    require(
        isinstance(game, Game) and isinstance(network, NetworkSettings),
        f"algorithm={settings.algorithm}: its actors evaluate by themselves, so there is nothing to compare.",
    )
    assert isinstance(game, Game) and isinstance(network, NetworkSettings)
    torch.set_num_threads(settings.actors.num_threads)
    weights = untrained_updater(algorithm, settings, seed).actor_weights()

    def spec_of(num_games: int, simulated: SimulatedSettings | None) -> EvaluatorSpec:
        actors = replace(settings.actors, num_games=num_games)
        spec = algorithm.evaluator_spec(actors, "cpu", simulated, is_repeatable=False)
        assert spec is not None
        return spec

    batch = max(1, settings.actors.num_games // 2)
    with _process(spec_of(2 * _ROUND_TRIP_POSITIONS, _AT_ONCE), weights) as exchange:
        microseconds = _round_trips(_client(exchange, game, _ROUND_TRIP_POSITIONS), seconds / 4)
    with _process(spec_of(2 * batch, None), weights) as exchange:
        shared = _client(exchange, game, batch)
        local = NetworkEvaluator(
            make_network(game, network, settings.sections["loss"].auxiliary(game)),
            game,
            max_batch=batch,
            num_slots=2,
            precision=settings.actors.precision,
        )
        local.load_weights(weights)
        rates: list[tuple[float, float]] = []
        until = time.perf_counter() + seconds
        while not rates or time.perf_counter() < until:
            rates.append((_rate(shared, batch), _rate(local, batch)))
    conditions = {
        "batch_size": batch,
        "blocks": network.blocks,
        "channels": network.channels,
        "num_threads": settings.actors.num_threads,
        **game_settings(settings.game.parameters),
        "seconds": seconds,
        "seed": seed,
    }
    figures = [
        (f"round_trip_of_{_ROUND_TRIP_POSITIONS}", median(microseconds), "us"),
        ("shared_positions_per_second", median(rate for rate, _ in rates), "1/s"),
        ("local_positions_per_second", median(rate for _, rate in rates), "1/s"),
        ("shared_fraction_of_local", median(ours / own for ours, own in rates), ""),
    ]
    return [Measurement("evaluator", settings.game.name, *figure, conditions) for figure in figures]


def _client(exchange: Exchange, game: Game, batch: int) -> LaneEvaluator:
    lanes = [exchange.lane(0, number) for number in range(2)]
    return LaneEvaluator([*lanes], layout_for(game, batch), kind=0)


def _round_trips(evaluator: LaneEvaluator, seconds: float) -> list[float]:
    """Return microseconds from submit to the end of collect, of many requests."""
    evaluator.load_weights({}, 1)
    # The first one waits for the process to start.
    evaluator.submit(0, _ROUND_TRIP_POSITIONS)
    evaluator.collect(0)
    found: list[float] = []
    until = time.perf_counter() + seconds
    while not found or time.perf_counter() < until:
        started = time.perf_counter()
        evaluator.submit(0, _ROUND_TRIP_POSITIONS)
        evaluator.collect(0)
        found.append(1e6 * (time.perf_counter() - started))
    return found


def _rate(evaluator: Evaluator, batch: int) -> float:
    """Return positions per second, with two requests in flight."""
    rng = np.random.default_rng(0)
    for slot in range(2):
        rows = evaluator.observations(slot)[:batch]
        rows[:] = rng.integers(0, 256, rows.shape, dtype=np.uint8)
        evaluator.submit(slot, batch)
        evaluator.collect(slot)
    started, num_batches = time.perf_counter(), 0
    evaluator.submit(0, batch)
    while time.perf_counter() < started + _SLICE_SECONDS:
        for slot in range(2):
            evaluator.submit(1 - slot, batch)
            evaluator.collect(slot)
            num_batches += 1
    rate = num_batches * batch / (time.perf_counter() - started)
    evaluator.collect(0)
    return rate


@contextmanager
def _process(spec: EvaluatorSpec, weights: dict[str, torch.Tensor]) -> Iterator[Exchange]:
    """Run an evaluator process for one actor. Raises UserError if it does not answer."""
    with WeightsChannel(weights) as channel, Exchange(1, spec.lanes) as exchange:
        channel.publish(weights, 1)

        def arguments(
            index: int, start: int, connection: ActorConnection, report: CrashReport
        ) -> EvaluatorArguments:
            return EvaluatorArguments(
                os.getpid(), spec, 0, connection, exchange, channel, report, None
            )

        process = SupervisedActor(-1, evaluator_main, arguments)
        process.start()
        exchange.leave_answers_to_others()
        try:
            yield exchange
        except EOFError:
            raise UserError(f"the evaluator of the benchmark ended: {process.reap()}") from None
        finally:
            process.close()
