"""What an actor asks its rank's evaluator process, if positions are evaluated there. Imports no torch.

A request is of the kind of its board: the index in Curriculum.embeddings. Each part of each stage of the curriculum has
lanes of its own, one for each group of episodes, so that a stage can begin while episodes of others end.
"""

from __future__ import annotations

import numpy as np

from ddpzero.actors.exchange import Exchange, LaneSize
from ddpzero.algorithms.alphazero.curriculum import Curriculum, Part
from ddpzero.evaluators.lanes import LaneEvaluator, LaneLayout, layout_for, room_for

# While one group of an actor's episodes works on its trees, the other one is evaluated.
NUM_GROUPS = 2


def group_sizes(num_games: int, num_groups: int) -> list[int]:
    """Return the numbers of episodes of an actor's groups."""
    num_groups = min(num_groups, num_games)
    return [len(part) for part in np.array_split(np.arange(num_games), num_groups)]


def layouts_of(curriculum: Curriculum, max_batch: int) -> list[LaneLayout]:
    """Return the layout of the requests of each kind."""
    return [layout_for(embedding.board, max_batch) for embedding in curriculum.embeddings]


def lane_size(curriculum: Curriculum, num_groups: int, max_batch: int) -> LaneSize:
    """Return the room that the requests of an actor need. max_batch: positions of a request at most."""
    num_parts = sum(len(parts) for parts in curriculum.stages)
    return LaneSize(num_groups * num_parts, *room_for(layouts_of(curriculum, max_batch)))


class RequestLanes:
    """Hands out the lanes of one actor to the parts of the curriculum that it plays, in turn."""

    def __init__(self, exchange: Exchange, actor_index: int, num_groups: int) -> None:
        self._exchange = exchange
        self._actor_index = actor_index
        self._num_groups = num_groups
        self._num_parts = 0

    def evaluator_of(self, part: Part, layout: LaneLayout) -> LaneEvaluator:
        """Return an evaluator for a part that begins, with a slot for each group."""
        first = self._num_parts * self._num_groups
        self._num_parts += 1
        lanes = [
            self._exchange.lane(
                self._actor_index, (first + group) % self._exchange.size.lanes_per_actor
            )
            for group in range(self._num_groups)
        ]
        return LaneEvaluator([*lanes], layout, kind=part.board)
