"""How a learner and an evaluator share one GPU: in two processes, in turns, or in two streams of one process.

Called by `ddpzero tune` and by gpu_training.py. A run has two processes: this shows whether another way would do more.
bench/README.md has the reasons. On a CPU there is nothing to share: the kernel distributes its cores.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.noise import noise
from ddpzero.evaluators.precision import make_inference_network
from ddpzero.games import Game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.settings import Settings
from ddpzero.system.devices import synchronize
from ddpzero.system.errors import require
from ddpzero.system.parent import follow_parent

# One unit of a side's work: a batch of positions, or an update; returns when the next one may begin.
Work = Callable[[], None]

TWO_PROCESSES = "two processes"
# Turns of one process, each for about so long.
_TURN_SECONDS = 0.05
_START_SECONDS = 120.0
# Another way must do this much more work than two processes to be worth mentioning.
_WORTHWHILE = 1.05
_MOST_POSITIONS = 4096
NOT_APPLICABLE = "not applicable: evaluator and learner share no GPU"


@dataclass(frozen=True)
class Progress:
    """What a way of sharing reached. evaluator, learner: of the work that either does if it has the device alone."""

    way: str
    evaluator: float
    learner: float

    @property
    def total(self) -> float:
        """1: as much as taking turns without a loss; more: they fill each other's gaps."""
        return self.evaluator + self.learner


def emit_sharing(
    settings: Settings, device: torch.device, seconds: float, emit: Callable[..., None]
) -> None:
    """Measure each way, and emit what it reaches; emit: an Emitter (gpu_config.py)."""
    if device.type == "cpu":
        emit("not run", 0.0, note=NOT_APPLICABLE)
        return
    found = measure_ways(settings, device, seconds)
    for progress in found:
        emit(f"{progress.way}, evaluator", progress.evaluator, "of alone")
        emit(f"{progress.way}, learner", progress.learner, "of alone")
        emit(f"{progress.way}, both", progress.total, note=advice(found))


def measure_ways(settings: Settings, device: torch.device, seconds: float) -> list[Progress]:
    """Measure all ways that the device has, in `seconds` or some more; the first is TWO_PROCESSES."""
    evaluate, update = evaluator_work(settings, device), learner_work(settings, device)
    has_streams = device.type == "cuda"
    each = max(seconds / (7 if has_streams else 4), 0.05)
    alone = [rate_of(work, each, device) for work in (evaluate, update)]

    def progress(way: str, rates: Sequence[float]) -> Progress:
        return Progress(way, *(rate / most for rate, most in zip(rates, alone, strict=True)))

    found = [
        progress(TWO_PROCESSES, in_two_processes(settings, device, update, each)),
        progress("turns", in_turns(evaluate, update, each, device)),
    ]
    if has_streams:
        for way, priorities in (("evaluator first", (-1, 0)), ("learner first", (0, -1))):
            streams = [torch.cuda.Stream(device, priority=number) for number in priorities]
            contexts = [lambda own=own: torch.cuda.stream(own) for own in streams]
            rates = in_two_threads(evaluate, update, each, device, contexts)
            found.append(progress(f"two streams, {way}", rates))
    return found


def advice(found: Sequence[Progress]) -> str:
    """Return in a sentence what the measurement says about two processes, which is how a run shares a device."""
    own = next(progress for progress in found if progress.way == TWO_PROCESSES)
    best = max(found, key=lambda progress: progress.total)
    text = f"{TWO_PROCESSES} do {own.total:.2f} of what the device does for one of them alone"
    if best.total < _WORTHWHILE * own.total:
        return f"{text}, and no other way clearly more"
    return (
        f"{text}, {best.way} {best.total:.2f}: try NVIDIA's MPS daemon (nvidia-cuda-mps-control -d), or give self-play "
        "its own GPU (actors.device=cuda:N)"
    )


# ------------------------------------------------------------------------- the work


def evaluator_work(settings: Settings, device: torch.device) -> Work:
    """Return a function that evaluates a batch of half of all running games, as a rank's evaluator does."""
    game, network = load_algorithm(settings).game, settings.sections.get("network")
    require(
        isinstance(game, Game) and isinstance(network, NetworkSettings),
        "this algorithm has no evaluator that could share a device.",
    )
    assert isinstance(game, Game) and isinstance(network, NetworkSettings)
    actors = settings.actors
    num_positions = min((actors.num_actors or 1) * actors.num_games // 2, _MOST_POSITIONS) or 1
    module = make_network(game, network)
    # Not a NetworkEvaluator, whose slots have streams of their own.
    inference = make_inference_network(
        module, game, num_positions, device, actors.precision, actors.compile
    )
    packed = torch.zeros(num_positions, game.observation_size_bytes, dtype=torch.uint8)

    def evaluate() -> None:
        logits, outcomes = inference.evaluate(packed.to(device))
        # A copy to the CPU waits for the current stream.
        logits.cpu(), outcomes.cpu()

    return evaluate


def learner_work(settings: Settings, device: torch.device) -> Work:
    """Return a function that makes an update on a batch that is on the device; it waits for none of it."""
    algorithm, learner = load_algorithm(settings), settings.learner
    updater = algorithm.make_updater(
        algorithm.make_networks(), lambda module: module, learner, device, seed=0
    )
    columns = noise(algorithm.sample_spec(), learner.batch_size, np.random.default_rng(0))
    batch = {name: torch.from_numpy(column).to(device) for name, column in columns.items()}
    return lambda: _ignore(updater.update(batch, learner.learning_rate))


def _ignore(_: object) -> None:
    pass


# ------------------------------------------------------------------------- the ways


def rate_of(work: Work, seconds: float, device: torch.device) -> float:
    """Return units per second of a side that works for so long, and its device with it."""
    work()
    synchronize(device)
    started, units = time.perf_counter(), 0
    while units == 0 or time.perf_counter() < started + seconds:
        work()
        units += 1
        # Otherwise the device would be far behind at the end.
        if units % 16 == 0:
            synchronize(device)
    synchronize(device)
    return units / (time.perf_counter() - started)


def in_turns(
    evaluate: Work, update: Work, seconds: float, device: torch.device
) -> tuple[float, float]:
    """Return the rates of both if one process gives the device to either in turn."""
    units, started = [0, 0], time.perf_counter()
    while time.perf_counter() < started + seconds:
        for index, work in enumerate((evaluate, update)):
            until = time.perf_counter() + _TURN_SECONDS
            while time.perf_counter() < until:
                work()
                units[index] += 1
                synchronize(device)
    lasted = time.perf_counter() - started
    return units[0] / lasted, units[1] / lasted


def in_two_threads(
    evaluate: Work,
    update: Work,
    seconds: float,
    device: torch.device,
    contexts: Sequence[Callable[[], AbstractContextManager[object]]] = (nullcontext, nullcontext),
) -> tuple[float, float]:
    """Return the rates of both in threads of one process. contexts: in which each works, such as its stream."""

    def run(work: Work, make_context: Callable[[], AbstractContextManager[object]]) -> float:
        with make_context():
            return rate_of(work, seconds, device)

    # Weights and batch were written in another stream.
    synchronize(device)
    with ThreadPoolExecutor(2) as pool:
        of_evaluator, of_learner = (
            pool.submit(run, work, context)
            for work, context in zip((evaluate, update), contexts, strict=True)
        )
    return of_evaluator.result(), of_learner.result()


def in_two_processes(
    settings: Settings, device: torch.device, update: Work, seconds: float
) -> tuple[float, float]:
    """Return the rates of an evaluator in a process of its own, and of the learner here. Raises RuntimeError if that
    process fails.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_evaluate_elsewhere, args=(os.getpid(), theirs, settings, str(device), seconds)
    )
    process.start()
    theirs.close()
    try:
        _take(ours)
        ours.send("begin")
        of_learner = rate_of(update, seconds, device)
        of_evaluator: float = _take(ours)
    finally:
        process.kill()
        process.join()
        ours.close()
    return of_evaluator, of_learner


def _take(connection: Connection) -> Any:
    if not connection.poll(_START_SECONDS):
        raise RuntimeError("the evaluator's process did not answer in time")
    try:
        return connection.recv()
    except EOFError:
        raise RuntimeError("the evaluator's process ended") from None


def _evaluate_elsewhere(
    parent_pid: int, connection: Connection, settings: Settings, device: str, seconds: float
) -> None:
    follow_parent(parent_pid)
    torch.set_num_threads(1)
    evaluate = evaluator_work(settings, torch.device(device))
    evaluate()
    connection.send("ready")
    connection.recv()
    connection.send(rate_of(evaluate, seconds, torch.device(device)))
