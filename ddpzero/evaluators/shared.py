"""Evaluates the positions of several actors together: their requests are gathered to one batch of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ddpzero.evaluators.lanes import LaneLayout
from ddpzero.evaluators.network import NetworkEvaluator

# Makes the evaluator of a kind of requests, for at most so many positions.
MakeEvaluator = Callable[[int, Mapping[str, np.ndarray], int], NetworkEvaluator]


class GatheringEvaluator:
    """See SharedEvaluator in actors/evaluator.py.

    layouts: of the requests of each kind. make: `make(kind, weights, max_batch)`, for weights of a new size, too.
    size_of: of the network that weights belong to, as something that can be compared.
    max_lanes: requests that are evaluated together at most.
    """

    def __init__(
        self,
        layouts: Sequence[LaneLayout],
        make: MakeEvaluator,
        size_of: Callable[[Mapping[str, np.ndarray]], object],
        max_lanes: int,
    ) -> None:
        self._layouts = layouts
        self._make = make
        self._size_of = size_of
        self._max_lanes = max_lanes
        self._size: object = None
        self._arrays: Mapping[str, np.ndarray] = {}
        self._evaluators: dict[int, NetworkEvaluator] = {}

    def receive(self, arrays: dict[str, np.ndarray], weights_version: int) -> None:
        self._arrays = arrays
        size = self._size_of(arrays)
        if size != self._size:
            self._evaluators, self._size = {}, size
        for evaluator in self._evaluators.values():
            evaluator.load_weights(arrays, weights_version)

    def evaluate(
        self,
        kind: int,
        num_rows: Sequence[int],
        inputs: Sequence[np.ndarray],
        outputs: Sequence[np.ndarray],
    ) -> None:
        for first in range(0, len(num_rows), self._max_lanes):
            chosen = slice(first, first + self._max_lanes)
            self._evaluate(kind, num_rows[chosen], inputs[chosen], outputs[chosen])

    def _evaluate(
        self,
        kind: int,
        num_rows: Sequence[int],
        inputs: Sequence[np.ndarray],
        outputs: Sequence[np.ndarray],
    ) -> None:
        layout, evaluator = self._layouts[kind], self._evaluator(kind)
        ends = np.cumsum(num_rows)
        places = [slice(end - rows, end) for end, rows in zip(ends, num_rows, strict=True)]
        gathered = evaluator.observations(0)
        for place, lane in zip(places, inputs, strict=True):
            gathered[place] = layout.observations(lane)[: place.stop - place.start]
        evaluator.submit(0, int(ends[-1]))
        logits, outcomes = evaluator.collect(0)
        for place, lane in zip(places, outputs, strict=True):
            own_logits, own_outcomes = layout.answers(lane)
            own_logits[: place.stop - place.start] = logits[place]
            own_outcomes[: place.stop - place.start] = outcomes[place]

    def _evaluator(self, kind: int) -> NetworkEvaluator:
        if kind not in self._evaluators:
            max_batch = self._layouts[kind].max_batch * self._max_lanes
            evaluator = self._make(kind, self._arrays, max_batch)
            evaluator.load_weights(self._arrays)
            self._evaluators[kind] = evaluator
        return self._evaluators[kind]
