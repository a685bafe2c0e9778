"""The main function of a rank's evaluator process: answers what the rank's actors ask, batch after batch.

    until the rank ends:  take requests, receive newer weights if one wants them, start a batch, finish the one before

A batch is what has been asked when the device becomes free, but at most one request for each actor, those that wait
longest. While it is evaluated, actors prepare their other requests, which the device finds when it is free again.
For the requests that are missing to such a batch, it waits for a fraction of the time that the last one took.

An evaluator on a GPU takes a second batch while the first one is under way: as soon as that batch is complete, or just
before the first one ends, so that the GPU goes on at once. No batch is under way while the weights change. The process
knows no game and no network: EvaluatorSpec's factory makes the object that evaluates.
"""

from __future__ import annotations

import importlib
import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ddpzero.actors.connection import ActorConnection, Kind, Message
from ddpzero.actors.crash_report import CrashReport
from ddpzero.actors.exchange import Exchange, LaneSize, Request
from ddpzero.actors.process import run_supervised
from ddpzero.actors.weights import NOTHING_PUBLISHED, WeightsChannel

_METRICS_INTERVAL_SECONDS = 1.0
# How often to look for weights that have not been published yet.
_LOOK_INTERVAL_SECONDS = 0.02
# Of the time of the last batch: to wait for the requests that are missing to a full one, and to start the next one
# before its end.
_PATIENCE = 0.1
# Between two looks at the device: when a batch should be about finished, and before that. It sleeps meanwhile, for on a
# machine with few cores the actors need them all.
_SHORT_LOOK_SECONDS, _LONG_LOOK_SECONDS = 50e-6, 500e-6


class SharedEvaluator(Protocol):
    """Evaluates the positions of a rank's actors, in one process. Called from one thread.

    max_under_way: batches that can be started before the first of them is finished. max_requests: of a batch.
    """

    max_under_way: int
    max_requests: int

    def receive(self, arrays: dict[str, np.ndarray], weights_version: int) -> None:
        """Evaluate with these weights from now on. Called before the first `start`, and while no batch is under way."""
        ...

    def start(self, kind: int, num_rows: Sequence[int], inputs: Sequence[np.ndarray]) -> None:
        """Start evaluating requests of one kind together, after the batches under way. It may wait for the answers.

        num_rows: of each request. inputs: the bytes of each lane, which do not change until the batch is finished.
        """
        ...

    def is_finished(self) -> bool:
        """Return whether `finish` would not have to wait."""
        ...

    def finish(self, outputs: Sequence[np.ndarray]) -> None:
        """Wait for the batch that was started first; write the outputs of each request, as its actor reads them.

        outputs: the floats of each lane.
        """
        ...


@dataclass(frozen=True)
class EvaluatorSpec:
    """How to make a rank's evaluator in a new process.

    factory: "package.module:function", called as `function(**arguments, num_actors=) -> SharedEvaluator`.
    arguments: as ActorSpec's. lanes: the room for the requests of an actor. num_threads: as ActorSpec's.
    """

    factory: str
    lanes: LaneSize
    arguments: Mapping[str, Any] = field(default_factory=dict)
    num_threads: int = 1

    def make(self, num_actors: int) -> SharedEvaluator:
        """Import the factory and call it: in the evaluator's process only."""
        module, _, function = self.factory.partition(":")
        factory = getattr(importlib.import_module(module), function)
        evaluator: SharedEvaluator = factory(**self.arguments, num_actors=num_actors)
        return evaluator


@dataclass(frozen=True)
class EvaluatorArguments:
    """What the rank passes to a new evaluator process. log_file: None for no log of its own."""

    parent_pid: int
    spec: EvaluatorSpec
    rank: int
    connection: ActorConnection
    exchange: Exchange
    weights: WeightsChannel
    crash_report: CrashReport
    log_file: Path | None

    @property
    def process_name(self) -> str:
        return f"the evaluator of rank {self.rank}"

    @property
    def num_threads(self) -> int:
        return self.spec.num_threads


def evaluator_main(arguments: EvaluatorArguments) -> None:
    """Answer requests until the rank ends."""
    run_supervised(arguments, lambda: _Body(arguments).run())


@dataclass(frozen=True)
class _Batch:
    """Requests of one kind that are evaluated together. started_at: by time.perf_counter."""

    requests: list[Request]
    started_at: float


class _Body:
    def __init__(self, arguments: EvaluatorArguments) -> None:
        self._connection = arguments.connection
        self._exchange = arguments.exchange
        self._weights = arguments.weights
        self._weights_version = NOTHING_PUBLISHED
        self._evaluator = arguments.spec.make(arguments.exchange.num_actors)
        self._under_way: deque[_Batch] = deque()
        # Of the last batch: the device's time, and when it was finished, by time.perf_counter.
        self._batch_seconds = self._finished_at = 0.0
        self._num_answers = 0
        # Of each lane, which answer of all was its last one.
        self._answered_at: dict[int, int] = {}
        self._metrics: dict[str, float] = {}
        self._metrics_sent_at = time.monotonic()
        self._exchange.wake_all()

    def run(self) -> None:
        self._send_metrics()
        while True:
            self._wait_for_requests()
            if requests := self._next_requests():
                self._start(requests)
            if self._under_way and (self._is_full or self._evaluator.is_finished()):
                self._finish()
            self._maybe_send_metrics()

    @property
    def _is_full(self) -> bool:
        return len(self._under_way) >= self._evaluator.max_under_way

    def _wait_for_requests(self) -> None:
        """Wait until a batch should be started, or the one under way is finished; not for ever."""
        num_actors = self._exchange.num_actors
        if self._under_way:
            self._wait_beside_batch(sum(len(batch.requests) for batch in self._under_way))
        elif self._exchange.wait_for_requests(_METRICS_INTERVAL_SECONDS):
            # Those that are missing to a full batch may arrive soon.
            self._exchange.wait_for_requests(_PATIENCE * self._batch_seconds, num_actors)

    def _wait_beside_batch(self, num_taken: int) -> None:
        """The same while a batch is under way. num_taken: open requests that are being evaluated."""
        began = max(self._under_way[0].started_at, self._finished_at)
        soon = began + (1 - _PATIENCE) * self._batch_seconds
        num_full = num_taken + self._exchange.num_actors
        while not self._evaluator.is_finished():
            seconds = min(max(soon - time.perf_counter(), _SHORT_LOOK_SECONDS), _LONG_LOOK_SECONDS)
            num_open = self._exchange.wait_for_requests(seconds, num_full)
            if num_open >= num_full or (num_open > num_taken and time.perf_counter() >= soon):
                return

    def _next_requests(self) -> list[Request]:
        """Return the open requests, not under way, of the lanes that were answered longest ago."""
        taken = {request.lane for batch in self._under_way for request in batch.requests}
        requests = [each for each in self._exchange.open_requests() if each.lane not in taken]
        requests.sort(key=lambda request: self._answered_at.get(request.lane, 0))
        return requests[: self._exchange.num_actors]

    def _start(self, requests: list[Request]) -> None:
        """Start batches of requests, one or more for each kind; finish those for which there is no more room."""
        self._receive_weights(max(request.wanted_version for request in requests))
        most = self._evaluator.max_requests
        for kind in sorted({request.kind for request in requests}):
            of_kind = [request for request in requests if request.kind == kind]
            for first in range(0, len(of_kind), most):
                if self._is_full:
                    self._finish()
                self._start_batch(kind, of_kind[first : first + most])

    def _start_batch(self, kind: int, requests: list[Request]) -> None:
        self._under_way.append(_Batch(requests, time.perf_counter()))
        self._evaluator.start(
            kind,
            [request.num_rows for request in requests],
            [self._exchange.inputs(request.lane) for request in requests],
        )

    def _finish(self) -> None:
        """Wait for the batch that was started first, and answer its requests."""
        batch = self._under_way.popleft()
        self._evaluator.finish([self._exchange.outputs(request.lane) for request in batch.requests])
        for request in batch.requests:
            self._exchange.answer(request, self._weights_version)
            self._num_answers += 1
            self._answered_at[request.lane] = self._num_answers
        now = time.perf_counter()
        self._batch_seconds = now - max(batch.started_at, self._finished_at)
        self._finished_at = now
        self._count("evaluator_batches", 1)
        self._count("evaluator_positions", sum(request.num_rows for request in batch.requests))
        self._count("evaluator_seconds", self._batch_seconds)

    def _receive_weights(self, at_least: int) -> None:
        """Receive these weights or newer ones, once no batch is under way that was started with the earlier ones."""
        while self._weights_version < at_least:
            while self._under_way:
                self._finish()
            newest = self._weights.receive(newer_than=self._weights_version)
            if newest is None:
                time.sleep(_LOOK_INTERVAL_SECONDS)
                self._maybe_send_metrics()
            else:
                self._evaluator.receive(*newest)
                self._weights_version = newest[1]

    def _count(self, name: str, amount: float) -> None:
        self._metrics[name] = self._metrics.get(name, 0.0) + amount

    def _maybe_send_metrics(self) -> None:
        if time.monotonic() - self._metrics_sent_at >= _METRICS_INTERVAL_SECONDS:
            self._send_metrics()

    def _send_metrics(self) -> None:
        """At the start and once a second: the pool takes them as a sign of life."""
        now = time.monotonic()
        self._count("evaluator_seconds_up", now - self._metrics_sent_at)
        self._metrics_sent_at = now
        payload = json.dumps(self._metrics).encode()
        self._metrics = {}
        self._connection.send([Message(Kind.METRICS, 0, payload)])
