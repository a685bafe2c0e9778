"""Self-play alone: a rank's actors, and its evaluator if there is one, without a learner."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from ddpzero.actors import ActorPool, WeightsChannel
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.untrained import untrained_updater
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError, require
from ddpzero.system.machine import usable_memory
from ddpzero.system.memory import check_memory
from ddpzero.training.actor_devices import evaluator_of_rank
from ddpzero.training.preflight import run_needs

_START_SECONDS = 180.0
_COUNTS = ("evaluations", "environment_steps", "samples")


class NoEpisodeError(UserError):
    """Not every actor has finished an episode in time."""


@dataclass(frozen=True)
class SelfPlayRates:
    """What self-play reached. busy: share of the time in which the evaluator evaluated; None without one.

    simulations_per_second: 0 without a search. actor_bytes: memory that the largest actor has for itself.
    evaluator_bytes: that of the evaluator, if there is one.
    """

    positions_per_second: float
    positions_per_batch: float | None
    simulations_per_second: float
    busy: float | None
    actor_bytes: int
    evaluator_bytes: int | None = None


def measure_self_play(
    settings: Settings,
    num_actors: int,
    seconds: float,
    seed: int,
    device: str = "cpu",
    start_seconds: float = _START_SECONDS,
) -> SelfPlayRates:
    """Let an untrained network play for `seconds`, after every actor has begun.

    Raises NoEpisodeError if one does not within start_seconds.
    """
    with playing(settings, num_actors, seed, device) as pool:
        wait_until_all_play(pool, start_seconds)
        pool.take_metrics()
        figures: Counter[str] = Counter()
        # Processes report once a second, with the time that they report of.
        is_shared = pool.evaluator_pid is not None
        actor_seconds, started = 0.0, time.monotonic()
        evaluator_seconds = 0.0 if is_shared else float("inf")
        # However short: until there is a rate.
        while min(actor_seconds, evaluator_seconds) < seconds or not _is_enough(figures, is_shared):
            figures["samples"] += sum(episode.num_samples for episode in pool.poll(0.1))
            figures.update(pool.take_metrics())
            # A plugin need not say how long it played.
            has_seconds = "seconds" in figures or "seconds_waiting_for_rank" not in figures
            actor_seconds = (
                _seconds_of_actors(figures) / num_actors
                if has_seconds
                else time.monotonic() - started
            )
            if is_shared:
                evaluator_seconds = figures["evaluator_seconds_up"]
        memory = max(map(own_bytes, pool.pids))
        evaluator = pool.evaluator_pid
        evaluator_bytes = None if evaluator is None else own_bytes(evaluator)
    batches, up = figures["evaluator_batches"], figures["evaluator_seconds_up"]
    return SelfPlayRates(
        figures["evaluator_positions"] / up
        if is_shared
        else _num_positions(figures) / actor_seconds,
        figures["evaluator_positions"] / batches if is_shared else None,
        figures["simulations"] / actor_seconds,
        figures["evaluator_seconds"] / up if is_shared else None,
        memory,
        evaluator_bytes,
    )


def require_cpu(settings: Settings) -> None:
    """Raise UserError if the settings choose a GPU, for a benchmark that is of the CPU on any machine."""
    for key, value in (("device", settings.device), ("actors.device", settings.actors.device)):
        require(
            value in ("auto", "cpu"),
            f"{key}={value}: this benchmark evaluates on the CPU; remove it. bash launch/gpu_check.sh measures a GPU.",
        )


def check_self_play_memory(settings: Settings) -> None:
    """Raise UserError if actors.num_actors actors, which a learner does not accompany, do not fit into the memory."""
    algorithm, num_actors = load_algorithm(settings), settings.actors.num_actors or 1
    has_evaluator = evaluator_of_rank(settings, algorithm, "cpu", num_actors) is not None
    alone, together = (
        run_needs(settings, algorithm, number, False, False, has_evaluator=has_evaluator)
        for number in (0, num_actors)
    )
    # What a learner alone needs is no concern here.
    needs = [need for need in together if need not in alone]
    if needs:
        check_memory(needs, usable_memory())


def own_bytes(pid: int) -> int:
    """Return the memory that a process shares with no other."""
    size_bytes: int = psutil.Process(pid).memory_full_info().uss
    return size_bytes


def _is_enough(figures: Mapping[str, float], is_shared: bool) -> bool:
    """Return whether the figures tell a rate, however short the time that was asked for."""
    if is_shared:
        return figures.get("evaluator_batches", 0) > 0 and _seconds_of_actors(figures) > 0
    return _seconds_of_actors(figures) > 0


def _num_positions(figures: Mapping[str, float]) -> float:
    """Return the positions that actors have evaluated by themselves, counted as the plugin does.

    An actor that searches counts its evaluations, others of ddpzero the steps of their games. Where a plugin counts
    nothing, finished samples tell.
    """
    return next((figures[name] for name in _COUNTS if figures.get(name)), 0.0)


def _seconds_of_actors(figures: Mapping[str, float]) -> float:
    names = ("seconds", "seconds_waiting_for_rank", "seconds_waiting_for_weights")
    return sum(figures.get(name, 0.0) for name in names)


@contextmanager
def playing(
    settings: Settings, num_actors: int, seed: int, device: str = "cpu"
) -> Iterator[ActorPool]:
    """Let an untrained network play within the block, in this many actors."""
    algorithm = load_algorithm(settings)
    weights = untrained_updater(algorithm, settings, seed).actor_weights()
    with (
        WeightsChannel(weights) as channel,
        ActorPool(
            algorithm.actor_spec(settings.actors, device),
            channel,
            num_actors=num_actors,
            rank=0,
            seed=seed,
            sample_spec=algorithm.sample_spec(),
            max_restarts=0,
            evaluator=evaluator_of_rank(settings, algorithm, device, num_actors),
        ) as pool,
    ):
        channel.publish(weights, 1)
        yield pool


def wait_until_all_play(pool: ActorPool, seconds: float = _START_SECONDS) -> None:
    """Wait for an episode of every actor. Raises NoEpisodeError if one has none within so long, compiling apart."""
    heard: set[int] = set()
    until = time.monotonic() + seconds
    while len(heard) < pool.num_actors:
        if pool.is_preparing:
            until = time.monotonic() + seconds
        heard |= {episode.info["actor_index"] for episode in pool.poll(0.1)}
        if time.monotonic() >= until:
            raise NoEpisodeError(
                f"{len(heard)} of {pool.num_actors} actors finished an episode within {seconds:g} s: choose fewer "
                "actors, games or simulations."
            )
