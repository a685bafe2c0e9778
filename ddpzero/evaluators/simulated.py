"""A device that computes nothing and answers after some time: it shows how many actors keep a device of its speed busy.

All answers are alike: equal logits, and a draw. Imports no torch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from ddpzero.evaluators.answers import DRAW
from ddpzero.evaluators.lanes import LaneLayout

# Sleeping is this inexact; the rest of a wait is spent looking at the clock.
_SLEEP_ERROR_SECONDS = 0.0002


class SimulatedEvaluator:
    """See SharedEvaluator in actors/evaluator.py. A batch takes batch_seconds, and each position 1 / rate more.

    layouts: of the requests of each kind. noise: standard deviation of the time of a batch, as a share of it.
    """

    def __init__(
        self,
        layouts: Sequence[LaneLayout],
        batch_seconds: float,
        positions_per_second: float,
        noise: float,
        seed: int = 0,
    ) -> None:
        self._layouts = layouts
        self._batch_seconds = batch_seconds
        self._rate = positions_per_second
        self._noise = noise
        self._rng = np.random.default_rng(seed)

    def receive(self, arrays: dict[str, np.ndarray], weights_version: int) -> None:
        pass

    def evaluate(
        self,
        kind: int,
        num_rows: Sequence[int],
        inputs: Sequence[np.ndarray],
        outputs: Sequence[np.ndarray],
    ) -> None:
        started = time.perf_counter()
        seconds = self._batch_seconds + sum(num_rows) / self._rate
        seconds *= max(0.0, 1.0 + self._noise * self._rng.standard_normal())
        for rows, lane in zip(num_rows, outputs, strict=True):
            logits, outcomes = self._layouts[kind].answers(lane)
            logits[:rows] = 0.0
            outcomes[:rows] = 0.0
            outcomes[:rows, DRAW] = 1.0
        _wait_until(started + seconds)


def _wait_until(moment: float) -> None:
    """Wait until a moment of time.perf_counter."""
    seconds = moment - time.perf_counter() - _SLEEP_ERROR_SECONDS
    if seconds > 0:
        time.sleep(seconds)
    while time.perf_counter() < moment:
        pass
