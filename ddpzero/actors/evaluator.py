"""The main function of a rank's evaluator process: answers what the rank's actors ask, batch after batch.

    until the rank ends:  take all requests, receive newer weights if one wants them, evaluate, answer

A batch is what has been asked when the device becomes free, but at most one request for each actor, those that wait
longest. While it is evaluated, actors prepare their other requests, which the device finds when it is free again.
For the requests that are missing to such a batch, it waits for a fraction of the time that the last one took. It knows
no game and no network: EvaluatorSpec's factory makes the object that evaluates.
"""

from __future__ import annotations

import importlib
import json
import time
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
# Of the time of the last batch, to wait for the requests that are missing to a full one.
_PATIENCE = 0.1


class SharedEvaluator(Protocol):
    """Evaluates the positions of a rank's actors, in one process. Called from one thread."""

    def receive(self, arrays: dict[str, np.ndarray], weights_version: int) -> None:
        """Evaluate with these weights from now on. Called before the first `evaluate`."""
        ...

    def evaluate(
        self,
        kind: int,
        num_rows: Sequence[int],
        inputs: Sequence[np.ndarray],
        outputs: Sequence[np.ndarray],
    ) -> None:
        """Evaluate requests of one kind together: write the outputs of each, as its actor reads them.

        num_rows: of each request. inputs: the bytes of each lane. outputs: the floats of each lane.
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


class _Body:
    def __init__(self, arguments: EvaluatorArguments) -> None:
        self._connection = arguments.connection
        self._exchange = arguments.exchange
        self._weights = arguments.weights
        self._weights_version = NOTHING_PUBLISHED
        self._evaluator = arguments.spec.make(arguments.exchange.num_actors)
        self._batch_seconds = 0.0
        self._num_answers = 0
        # Of each lane, which answer of all was its last one.
        self._answered_at: dict[int, int] = {}
        self._metrics: dict[str, float] = {}
        self._metrics_sent_at = time.monotonic()

    def run(self) -> None:
        while True:
            if self._exchange.wait_for_requests(_METRICS_INTERVAL_SECONDS):
                # Those that are missing to a full batch may arrive soon.
                patience = _PATIENCE * self._batch_seconds
                self._exchange.wait_for_requests(patience, self._exchange.num_actors)
                self._answer(self._next_batch())
            self._maybe_send_metrics()

    def _next_batch(self) -> list[Request]:
        """Return the open requests of the lanes that were answered longest ago."""
        requests = self._exchange.open_requests()
        requests.sort(key=lambda request: self._answered_at.get(request.lane, 0))
        return requests[: self._exchange.num_actors]

    def _answer(self, requests: list[Request]) -> None:
        self._receive_weights(max(request.wanted_version for request in requests))
        started = time.perf_counter()
        for kind in sorted({request.kind for request in requests}):
            of_kind = [request for request in requests if request.kind == kind]
            self._evaluator.evaluate(
                kind,
                [request.num_rows for request in of_kind],
                [self._exchange.inputs(request.lane) for request in of_kind],
                [self._exchange.outputs(request.lane) for request in of_kind],
            )
            for request in of_kind:
                self._exchange.answer(request, self._weights_version)
                self._num_answers += 1
                self._answered_at[request.lane] = self._num_answers
            self._count("evaluator_batches", 1)
            self._count("evaluator_positions", sum(request.num_rows for request in of_kind))
        self._batch_seconds = time.perf_counter() - started
        self._count("evaluator_seconds", self._batch_seconds)

    def _receive_weights(self, at_least: int) -> None:
        while self._weights_version < at_least:
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
        """Send them once a second: the pool takes them as a sign of life."""
        if time.monotonic() - self._metrics_sent_at < _METRICS_INTERVAL_SECONDS:
            return
        now = time.monotonic()
        self._count("evaluator_seconds_up", now - self._metrics_sent_at)
        self._metrics_sent_at = now
        payload = json.dumps(self._metrics).encode()
        self._metrics = {}
        self._connection.send([Message(Kind.METRICS, 0, payload)])
