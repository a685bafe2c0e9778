"""The contract between a search and whatever evaluates its leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np


class Evaluator(Protocol):
    """Evaluates batches of observations; a slot is one batch in flight.

    With several slots one batch is evaluated while the next is written. Letters: B max_batch, A actions.
    """

    @property
    def max_batch(self) -> int: ...

    @property
    def num_slots(self) -> int: ...

    def observations(self, slot: int) -> np.ndarray:
        """`[B, game.observation_size_bytes]` uint8, as Game.packed_observation; the caller writes rows 0..n-1.

        Always returns the same array. Do not write to it between submit and collect.
        """
        ...

    def submit(self, slot: int, num_positions: int) -> None:
        """Start evaluating the first num_positions rows of the slot, 1..B."""
        ...

    def collect(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        """Wait for the batch submitted last; return prior logits `[n, A]` and outcomes `[n, 4]`, C-contiguous float32.

        Logits of illegal actions are not masked. A row of outcomes has the probabilities of the mover's win, draw and
        loss, then its expected points (search/points.py), 0 if the search does not count points. The search raises
        EvaluationError unless all numbers are finite, the probabilities sum to 1 and points are in [-1, 1]. Both
        arrays are views, valid until the next submit on the slot.
        """
        ...


class WeightedEvaluator(Evaluator, Protocol):
    """An evaluator whose weights change while it is used.

    weights_version: of the weights that evaluate what is submitted next; or, if another process evaluates, of the
    newest ones known here.
    """

    @property
    def weights_version(self) -> int: ...

    def load_weights(self, arrays: Mapping[str, Any], weights_version: int) -> None:
        """Use these weights for everything submitted from now on. Raises ValueError for those of another network."""
        ...
