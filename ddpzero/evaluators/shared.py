"""Evaluates the positions of several actors together: their requests are gathered to one batch of a network."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ddpzero.evaluators.lanes import LaneLayout
from ddpzero.evaluators.network import NetworkEvaluator

# Makes the evaluator of a kind of requests, for at most so many positions; it has max_under_way slots.
MakeEvaluator = Callable[[int, Mapping[str, np.ndarray], int], NetworkEvaluator]


@dataclass(frozen=True)
class _Batch:
    """A batch under way. places: of each request, its rows in the slot of the evaluator."""

    layout: LaneLayout
    evaluator: NetworkEvaluator
    slot: int
    places: list[slice]


class GatheringEvaluator:
    """See SharedEvaluator in actors/evaluator.py.

    layouts: of the requests of each kind. make: `make(kind, weights, max_batch)`, for weights of a new size, too.
    size_of: of the network that weights belong to, as something that can be compared.
    max_requests: of a batch. max_under_way: batches at the same time; more than one only pays where `submit` does not
    wait, as on a GPU.
    """

    def __init__(
        self,
        layouts: Sequence[LaneLayout],
        make: MakeEvaluator,
        size_of: Callable[[Mapping[str, np.ndarray]], object],
        max_requests: int,
        max_under_way: int = 1,
    ) -> None:
        self.max_requests = max_requests
        self.max_under_way = max_under_way
        self._layouts = layouts
        self._make = make
        self._size_of = size_of
        self._size: object = None
        self._arrays: Mapping[str, np.ndarray] = {}
        self._evaluators: dict[int, NetworkEvaluator] = {}
        self._under_way: deque[_Batch] = deque()
        self._num_started = 0

    def receive(self, arrays: dict[str, np.ndarray], weights_version: int) -> None:
        self._arrays = arrays
        size = self._size_of(arrays)
        if size != self._size:
            self._evaluators, self._size = {}, size
        for evaluator in self._evaluators.values():
            evaluator.load_weights(arrays, weights_version)

    def start(self, kind: int, num_rows: Sequence[int], inputs: Sequence[np.ndarray]) -> None:
        layout, evaluator = self._layouts[kind], self._evaluator(kind)
        # Batches end in the order in which they were started, so this slot is free.
        slot = self._num_started % self.max_under_way
        self._num_started += 1
        ends = np.cumsum(num_rows)
        places = [slice(end - rows, end) for end, rows in zip(ends, num_rows, strict=True)]
        gathered = evaluator.observations(slot)
        for place, lane in zip(places, inputs, strict=True):
            gathered[place] = layout.observations(lane)[: place.stop - place.start]
        evaluator.submit(slot, int(ends[-1]))
        self._under_way.append(_Batch(layout, evaluator, slot, places))

    def is_finished(self) -> bool:
        batch = self._under_way[0]
        return batch.evaluator.is_finished(batch.slot)

    def finish(self, outputs: Sequence[np.ndarray]) -> None:
        batch = self._under_way.popleft()
        logits, outcomes = batch.evaluator.collect(batch.slot)
        for place, lane in zip(batch.places, outputs, strict=True):
            own_logits, own_outcomes = batch.layout.answers(lane)
            own_logits[: place.stop - place.start] = logits[place]
            own_outcomes[: place.stop - place.start] = outcomes[place]

    def _evaluator(self, kind: int) -> NetworkEvaluator:
        if kind not in self._evaluators:
            max_batch = self._layouts[kind].max_batch * self.max_requests
            evaluator = self._make(kind, self._arrays, max_batch)
            evaluator.load_weights(self._arrays)
            self._evaluators[kind] = evaluator
        return self._evaluators[kind]
