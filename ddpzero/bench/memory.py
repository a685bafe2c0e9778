"""The memory of a run's processes beside the estimates by which a run is refused. Called by `ddpzero bench memory`.

A process's memory is what it shares with no other one, on the CPU: libraries that several processes load count in none.
Estimates are those of training/preflight.py.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.recorded import record, recorded_episodes
from ddpzero.bench.self_play import SelfPlayRates, measure_self_play, own_bytes, require_cpu
from ddpzero.bench.short_run import short_run_settings, started_learner
from ddpzero.config.conversion import settings_from_dict, settings_to_dict
from ddpzero.replay import ReplayBuffer
from ddpzero.run.ranks import join_ranks
from ddpzero.settings import Settings
from ddpzero.system.allocator import keep_freed_memory
from ddpzero.system.failures import how_it_ended
from ddpzero.system.machine import usable_memory
from ddpzero.system.measurements import Measurement, game_settings
from ddpzero.system.memory import check_memory
from ddpzero.system.parent import follow_parent
from ddpzero.system.signals import StopSignal
from ddpzero.system.temporary_folder import temporary_folder
from ddpzero.training.preflight import run_needs

_UPDATES = 20
# Named as in preflight.py.
_REPLAY_BUFFER = "for the replay buffer"


def bench_memory(settings: Settings, seconds: float, seed: int) -> list[Measurement]:
    """Return the memory of a rank, of its buffer, of actors and of an evaluator. seconds: that actors play.

    Raises UserError if the run does not fit into the memory.
    """
    require_cpu(settings)
    settings = replace(settings, device="cpu")
    algorithm = load_algorithm(settings)
    check_memory(run_needs(settings, algorithm, 1, False, False), usable_memory())
    conditions: dict[str, Any] = {
        "model": algorithm.model_tag(),
        "capacity": settings.replay.capacity,
        "num_games": settings.actors.num_games,
        **game_settings(settings.game.parameters),
        "seconds": seconds,
        "seed": seed,
    }
    found = []
    for what, measured, estimated in _sizes(settings, algorithm, seconds, seed):
        for figure, value, unit in (
            (what, measured / 2**20, "MiB"),
            (f"{what}_estimated", estimated / 2**20, "MiB"),
            (f"{what}_estimated_over_measured", estimated / max(measured, 1), ""),
        ):
            found.append(
                Measurement("memory", algorithm.game.name, figure, value, unit, conditions)
            )
    return found


def _sizes(
    settings: Settings, algorithm: CompleteAlgorithm, seconds: float, seed: int
) -> Iterator[tuple[str, int, int]]:
    """Yield name, measured bytes and estimated bytes."""
    of_buffer = _estimate(settings, algorithm, 0, _REPLAY_BUFFER)
    with temporary_folder("ddpzero-memory-") as folder:
        record(settings, seed, folder / "recording.npz")
        job = (settings_to_dict(short_run_settings(settings, folder)), folder / "recording.npz")
        of_rank = _estimate(settings, algorithm, 0) - of_buffer
        yield "rank", _in_new_process(rank_bytes, *job), of_rank
        yield "replay_buffer", _in_new_process(buffer_bytes, *job), of_buffer
    of_actor = _estimate(settings, algorithm, 1) - _estimate(settings, algorithm, 0)
    yield "actor", _self_play(settings, "local", seconds, seed).actor_bytes, of_actor
    if algorithm.evaluator_spec(settings.actors, "cpu", None, is_repeatable=False) is None:
        return
    shared = _self_play(settings, "shared", seconds, seed)
    with_one, with_two = (_estimate(settings, algorithm, n, has_evaluator=True) for n in (1, 2))
    of_actor = with_two - with_one
    yield "actor_without_torch", shared.actor_bytes, of_actor
    assert shared.evaluator_bytes is not None
    of_evaluator = with_one - of_actor - _estimate(settings, algorithm, 0)
    yield "evaluator", shared.evaluator_bytes, of_evaluator


def _estimate(
    settings: Settings,
    algorithm: CompleteAlgorithm,
    num_actors: int,
    what: str = "",
    has_evaluator: bool = False,
) -> int:
    needs = run_needs(settings, algorithm, num_actors, False, False, has_evaluator=has_evaluator)
    return sum(need.size_bytes for need in needs if what in need.what)


def _self_play(
    settings: Settings, evaluator: Literal["local", "shared"], seconds: float, seed: int
) -> SelfPlayRates:
    return measure_self_play(replace(settings, evaluator=evaluator), 1, seconds, seed)


def _in_new_process(measure: Callable[..., int], *arguments: Any) -> int:
    """Call a function of this file in a process that has done nothing before, so that it holds no freed memory.

    Raises the ValueError or RuntimeError that the function raises, RuntimeError if its process ends without one.
    """
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(os.getpid(), sending, measure, arguments))
    process.start()
    sending.close()
    try:
        found: int | Exception = receiving.recv()
    except EOFError:
        process.join()
        raise RuntimeError(
            f"the process that was to be measured ended ({how_it_ended(process.exitcode)}): choose a smaller "
            "replay.capacity or network, or look above for its message."
        ) from None
    finally:
        process.kill()
        process.join()
        receiving.close()
    if isinstance(found, Exception):
        raise found
    return found


def _send(
    parent_pid: int, sending: Connection, measure: Callable[..., int], arguments: tuple[Any, ...]
) -> None:
    """Call a function, and send what it returns or raises. This process ends with its parent."""
    follow_parent(parent_pid)
    # Ctrl-C reaches the whole process group; the parent then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # As a rank of a run does.
    keep_freed_memory()
    try:
        sending.send(measure(*arguments))
    except (ValueError, RuntimeError) as error:
        sending.send(error)


def rank_bytes(config: dict[str, Any], recording: Path) -> int:
    """Return the memory of this process after it has trained and saved as the only rank of a run.

    Of the replay buffer it has touched little. config: of short_run_settings.
    """
    settings = settings_from_dict(config)
    episodes = recorded_episodes(recording)
    with (
        join_ranks("cpu") as ranks,
        started_learner(settings, ranks, StopSignal(), recording) as learner,
    ):
        learner.insert(episodes[:20])
        for _ in range(_UPDATES):
            learner.update()
        learner.save()
        return own_bytes(os.getpid())


def buffer_bytes(config: dict[str, Any], recording: Path) -> int:
    """Return by how much this process grows when it fills a replay buffer."""
    settings = settings_from_dict(config)
    spec = load_algorithm(settings).sample_spec()
    episodes = itertools.cycle(recorded_episodes(recording))
    before = own_bytes(os.getpid())
    buffer = ReplayBuffer(spec, settings.replay.capacity, seed=0)
    while buffer.num_samples < buffer.capacity:
        buffer.add(next(episodes).columns)
    return own_bytes(os.getpid()) - before
