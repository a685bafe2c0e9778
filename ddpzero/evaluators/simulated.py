"""A device that computes nothing and answers after some time: it shows how many actors keep a device of its speed busy.

Like a GPU, it goes from one batch on to the next one that was started meanwhile. All answers are alike: equal logits,
and a draw. Imports no torch.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddpzero.evaluators.answers import DRAW
from ddpzero.evaluators.lanes import LaneLayout

# Sleeping is this inexact; the rest of a wait is spent looking at the clock.
_SLEEP_ERROR_SECONDS = 0.0002
# As many as on a GPU.
_MAX_UNDER_WAY = 2


@dataclass(frozen=True)
class _Batch:
    """A batch under way. ends_at: by time.perf_counter."""

    kind: int
    num_rows: Sequence[int]
    ends_at: float


class SimulatedEvaluator:
    """See SharedEvaluator in actors/evaluator.py. A batch takes batch_seconds, and each position 1 / rate more.

    layouts: of the requests of each kind. noise: standard deviation of the time of a batch, as a share of it.
    max_requests: of a batch.
    """

    def __init__(
        self,
        layouts: Sequence[LaneLayout],
        batch_seconds: float,
        positions_per_second: float,
        noise: float,
        max_requests: int,
        seed: int = 0,
    ) -> None:
        self._layouts = layouts
        self._batch_seconds = batch_seconds
        self._rate = positions_per_second
        self._noise = noise
        self._rng = np.random.default_rng(seed)
        self.max_under_way = _MAX_UNDER_WAY
        self.max_requests = max_requests
        self._under_way: deque[_Batch] = deque()
        self._busy_until = 0.0

    def receive(self, arrays: dict[str, np.ndarray], weights_version: int) -> None:
        pass

    def start(self, kind: int, num_rows: Sequence[int], inputs: Sequence[np.ndarray]) -> None:
        seconds = self._batch_seconds + sum(num_rows) / self._rate
        seconds *= max(0.0, 1.0 + self._noise * self._rng.standard_normal())
        self._busy_until = max(self._busy_until, time.perf_counter()) + seconds
        self._under_way.append(_Batch(kind, num_rows, self._busy_until))

    def is_finished(self) -> bool:
        return time.perf_counter() >= self._under_way[0].ends_at

    def finish(self, outputs: Sequence[np.ndarray]) -> None:
        batch = self._under_way.popleft()
        for rows, lane in zip(batch.num_rows, outputs, strict=True):
            logits, outcomes = self._layouts[batch.kind].answers(lane)
            logits[:rows] = 0.0
            outcomes[:rows] = 0.0
            outcomes[:rows, DRAW] = 1.0
        _wait_until(batch.ends_at)


def _wait_until(moment: float) -> None:
    """Wait until a moment of time.perf_counter."""
    seconds = moment - time.perf_counter() - _SLEEP_ERROR_SECONDS
    if seconds > 0:
        time.sleep(seconds)
    while time.perf_counter() < moment:
        pass
