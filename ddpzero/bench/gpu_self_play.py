"""Steps of gpu_check.sh: self-play as a fraction of the bare forward rate."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from ddpzero.bench.gpu_check import FRACTION_OF_FORWARD
from ddpzero.bench.gpu_config import Emitter, make_settings, run_config, usual_num_actors
from ddpzero.bench.gpu_forward import PLAYED, fast_precision, forward_rate
from ddpzero.bench.gpu_sampler import GpuSampler

if TYPE_CHECKING:
    from ddpzero.actors import ActorPool
    from ddpzero.settings import Settings


# The longest wait until all actors play; on a new machine they compile first.
_MAX_WAIT_SECONDS = 75.0
# Actors report once a second: of fewer seconds nothing can be said.
_WINDOW_SECONDS = 3.0


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


def measure_self_play(options: argparse.Namespace, emit: Emitter) -> None:
    """Measure 1 to 8 actors with a shared evaluator and with a network each, with and without CUDA graphs.

    In the order of their importance, until the time is over.
    """
    most = 2 if options.quick else usual_num_actors()
    ways = [Way("shared", most), Way("local", most)]
    if not options.quick:
        counts = [count for count in (1, 4, 2) if count < most]
        ways += [Way("shared", most, cuda_graphs=False), Way("shared", most, max_under_way=1)]
        ways += [Way(who, count) for count in counts for who in ("shared", "local")]
        ways.append(Way("local", most, cuda_graphs=False))
    until = time.monotonic() + options.seconds
    _compare_with_forward(options, emit, *PLAYED[0], ways, until)


def measure_networks(options: argparse.Namespace, emit: Emitter) -> None:
    """Measure self-play with the shared evaluator for other games and networks."""
    most = 1 if options.quick else usual_num_actors()
    until = time.monotonic() + options.seconds
    for played in PLAYED[2:3] if options.quick else PLAYED[1:]:
        _compare_with_forward(options, emit, *played, [Way("shared", most)], until)


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
    precision = fast_precision(options.device)
    fractions: list[float] = []
    left_out: list[str] = []
    try:
        settings = make_settings(
            _played_config(options, game_name, parameters, network, num_games, precision)
        )
        # As large as a batch of a group of one actor, and of one of several.
        bare = max(
            forward_rate(
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
