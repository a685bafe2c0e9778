"""An evaluator that squares bytes, and actors that ask it and check its answers."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from toy_actors import ToyActor

from ddpzero.actors.evaluator import EvaluatorSpec
from ddpzero.actors.exchange import Exchange, LaneSize
from ddpzero.replay import Episode

NUM_ROWS = 8
LANES = LaneSize(lanes_per_actor=2, input_bytes=NUM_ROWS, output_floats=NUM_ROWS)


@dataclass(frozen=True)
class Batch:
    """ends_at: by time.perf_counter."""

    kind: int
    num_rows: Sequence[int]
    inputs: Sequence[np.ndarray]
    ends_at: float


class ToyEvaluator:
    """trouble: what happens once, if trouble_file does not exist: "hang", "kill" (amid an answer), "kill at
    waking" (between an answer and the wake-up of its actor), "raise".

    max_under_way: batches at the same time; with several, each takes batch_seconds, one after the other.
    start_seconds: what it does before it hears anything.
    """

    def __init__(
        self,
        num_actors: int,
        trouble: str = "",
        trouble_file: str = "",
        max_under_way: int = 1,
        max_requests: int | None = None,
        batch_seconds: float = 0.0,
        start_seconds: float = 0.0,
    ) -> None:
        time.sleep(start_seconds)
        self.max_under_way = max_under_way
        self.max_requests = max_requests or num_actors
        self.under_way: deque[Batch] = deque()
        self.batch_seconds = batch_seconds
        self.busy_until = 0.0
        self.trouble = trouble
        self.trouble_file = Path(trouble_file)
        self.weights_sum = 0.0
        self.num_batches = 0

    def receive(self, arrays: dict[str, np.ndarray], weights_version: int) -> None:
        assert not self.under_way, "weights change amid a batch"
        self.weights_sum = float(sum(array.sum() for array in arrays.values()))

    def start(self, kind: int, num_rows: Sequence[int], inputs: Sequence[np.ndarray]) -> None:
        assert len(self.under_way) < self.max_under_way and len(num_rows) <= self.max_requests
        self.busy_until = max(self.busy_until, time.perf_counter()) + self.batch_seconds
        self.under_way.append(Batch(kind, num_rows, inputs, self.busy_until))

    def is_finished(self) -> bool:
        return time.perf_counter() >= self.under_way[0].ends_at

    def finish(self, outputs: Sequence[np.ndarray]) -> None:
        while not self.is_finished():
            pass
        batch = self.under_way.popleft()
        self.num_batches += 1
        for rows, asked, answer in zip(batch.num_rows, batch.inputs, outputs, strict=True):
            answer[0] = 12345.0
            self._maybe_make_trouble()
            answer[:rows] = asked[:rows].astype(np.float32) ** 2 + batch.kind
            answer[rows:] = self.weights_sum

    def _maybe_make_trouble(self) -> None:
        if not self.trouble or self.num_batches < 20 or self.trouble_file.exists():
            return
        self.trouble_file.touch()
        if self.trouble == "hang":
            time.sleep(3600)
        elif self.trouble == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.trouble == "kill at waking":
            os.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
            return
        raise ZeroDivisionError("the toy evaluator broke on purpose")


class AskingActor(ToyActor):
    """Each of its episodes is one question to the evaluator, by its lanes in turn."""

    def __init__(self, exchange: Exchange, num_lanes: int = 2, **arguments) -> None:
        super().__init__(**arguments)
        self.lanes = [exchange.lane(self.place["made_by"], number) for number in range(num_lanes)]
        self.asked: list[np.ndarray | None] = [None] * num_lanes
        self.wanted = [0] * num_lanes

    def _episode(self) -> Episode:
        number = self.num_played_in_all % len(self.lanes)
        lane, asked = self.lanes[number], self.asked[number]
        used_version = self.weights_version
        if asked is not None:
            used_version = lane.wait()
            rows = len(asked)
            expected = asked.astype(np.float32) ** 2 + number
            assert lane.outputs[:rows].tolist() == expected.tolist(), "a wrong answer"
            # Toys publish arrays of four times the version.
            assert rows == NUM_ROWS or lane.outputs[rows] == 4 * used_version, "other weights"
            assert used_version >= self.wanted[number]
        asked = self.rng.integers(0, 256, self.rng.integers(1, NUM_ROWS + 1)).astype(np.uint8)
        lane.inputs[: len(asked)] = asked
        lane.submit(len(asked), number, self.weights_version)
        self.asked[number], self.wanted[number] = asked, self.weights_version
        self.num_played_in_all += 1
        episode = super()._episode()
        episode.info["used_version"] = used_version
        episode.info["torch"] = "torch" in sys.modules
        return episode

    num_played_in_all = 0


def make_actor(**arguments) -> AskingActor:
    return AskingActor(**arguments)


def make_evaluator(**arguments) -> ToyEvaluator:
    return ToyEvaluator(**arguments)


def make_no_evaluator(**arguments) -> ToyEvaluator:
    raise FileNotFoundError("no evaluator to be had")


def spec(factory: str = "toy_evaluator:make_evaluator", **arguments) -> EvaluatorSpec:
    return EvaluatorSpec(factory, LANES, arguments)
