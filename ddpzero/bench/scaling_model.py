"""A model of what the core costs an update with more ranks than one machine has: pure functions of measurements.

    exchange(N)   all rows to rank 0 (one hop, and work at rank 0 for each), and back along a binary tree (log2 N hops)
    tree(N)       the second half of it
    barrier(N)    all ranks to rank 0, which answers each of them

Assumptions: each rank has a core; ranks of a node have neighboring numbers; a message between nodes takes longer by
BETWEEN_NODES_SECONDS; no rank is late. Checkpoints are left out: their schedule bounds them to 2 % of the time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ddpzero.bench.scaling import Scale
from ddpzero.settings import Settings

MODELED_RANKS = (8, 16, 32, 64)
RANKS_PER_NODE = 8
# TCP over Ethernet with its switch, beyond what a message takes within a node.
BETWEEN_NODES_SECONDS = 30e-6
STEP_SECONDS = 0.020
# A learner that is ahead of its actors votes before each update, one that lags behind them for several at once.
UPDATES_PER_VOTE = (1, 8)

# What a row of metrics and the end of an epoch say to other ranks: exchanges, trees, barriers.
_OF_ROW, _OF_EPOCH = (5, 6, 0), (0, 4, 1)


class Constants(NamedTuple):
    """Fitted seconds. update: of the core, without other ranks. hop: of a message within a node, with its wake-up.

    per_row, per_answer: of rank 0 for each other rank, in an exchange and in a barrier. row: work for a row of metrics;
    row_per_rank: more for each rank.
    """

    update: float
    hop: float
    per_row: float
    per_answer: float
    row: float
    row_per_rank: float


class Prediction(NamedTuple):
    """Seconds for so many ranks. update: of the core for each update, by how many updates there are to a vote."""

    num_ranks: int
    vote: float
    barrier: float
    row: float
    update: dict[int, float]


def fit(scales: Sequence[Scale]) -> Constants | None:
    """Fit the constants; None if there are no measurements of one rank and of several."""
    by_ranks = {scale.num_ranks: scale.loop for scale in scales}
    several = sorted(number for number in by_ranks if number > 1)
    if 1 not in by_ranks or not several:
        return None
    others = [number - 1 for number in several]

    def slope(name: str) -> float:
        """Return what each other rank adds, by least squares."""
        values = [by_ranks[number][name] - by_ranks[1][name] for number in several]
        products = sum(count * value for count, value in zip(others, values, strict=True))
        return max(0.0, products / sum(count**2 for count in others))

    fewest = by_ranks[several[0]]
    per_row = slope("most_vote_cpu")
    tree_hops = _log2(several[0])
    return Constants(
        update=max(0.0, by_ranks[1]["overhead_cpu"]),
        hop=max(0.0, fewest["vote"] - per_row * others[0]) / (1 + tree_hops),
        per_row=per_row,
        per_answer=slope("most_barrier_cpu"),
        row=by_ranks[1]["row_cpu"],
        row_per_rank=slope("row_cpu"),
    )


def predict(constants: Constants, settings: Settings, num_ranks: int) -> Prediction:
    """Return what the core costs with so many ranks, RANKS_PER_NODE on each node."""
    nodes = math.ceil(num_ranks / RANKS_PER_NODE)
    far = BETWEEN_NODES_SECONDS if nodes > 1 else 0.0
    others = num_ranks - 1
    tree = constants.hop * _log2(num_ranks) + far * _log2(nodes)
    exchange = constants.hop + far + others * constants.per_row + tree
    barrier = 2 * (constants.hop + far) + others * constants.per_answer

    def seconds(messages: tuple[int, int, int]) -> float:
        exchanges, trees, barriers = messages
        return exchanges * exchange + trees * tree + barriers * barrier

    row = constants.row + others * constants.row_per_rank + seconds(_OF_ROW)
    of_rows = row * STEP_SECONDS / settings.logging.interval_seconds
    of_epochs = seconds(_OF_EPOCH) / settings.learner.epoch_steps
    always = constants.update + of_rows + of_epochs
    of_updates = {number: always + exchange / number for number in UPDATES_PER_VOTE}
    return Prediction(num_ranks, exchange, barrier, row, of_updates)


def _log2(number: int) -> int:
    """Return the depth of a binary tree of so many."""
    return math.ceil(math.log2(number)) if number > 1 else 0
