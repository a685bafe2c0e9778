"""Where positions and answers lie in the lanes of an exchange: known to the actors that ask and to who answers.

A lane is a row of bytes, and a row of floats (actors/exchange.py). Letters: B max_batch, A actions. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ddpzero.evaluators.answers import OUTCOME_SIZE
from ddpzero.games import Game


@dataclass(frozen=True)
class LaneLayout:
    """The layout of lanes for positions of one game. max_batch: positions of a request at most."""

    max_batch: int
    observation_bytes: int
    num_actions: int

    @property
    def input_bytes(self) -> int:
        return self.max_batch * self.observation_bytes

    @property
    def output_floats(self) -> int:
        return self.max_batch * (self.num_actions + OUTCOME_SIZE)

    def observations(self, inputs: np.ndarray) -> np.ndarray:
        """Return the observations in a lane's inputs, `[B, observation_bytes]` uint8."""
        return inputs[: self.input_bytes].reshape(self.max_batch, self.observation_bytes)

    def answers(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the prior logits `[B, A]` and the outcomes `[B, 4]` in a lane's outputs, float32."""
        num_logits = self.max_batch * self.num_actions
        return (
            outputs[:num_logits].reshape(self.max_batch, self.num_actions),
            outputs[num_logits : self.output_floats].reshape(self.max_batch, OUTCOME_SIZE),
        )


def layout_for(game: Game, max_batch: int) -> LaneLayout:
    return LaneLayout(max_batch, game.observation_size_bytes, game.num_actions)


def room_for(layouts: Iterable[LaneLayout]) -> tuple[int, int]:
    """Return the bytes of inputs and the floats of outputs that fit every one of these layouts."""
    layouts = list(layouts)
    return (
        max(layout.input_bytes for layout in layouts),
        max(layout.output_floats for layout in layouts),
    )


class Lane(Protocol):
    """What a LaneEvaluator needs of actors/exchange.py."""

    inputs: np.ndarray
    outputs: np.ndarray

    def submit(self, num_rows: int, kind: int, wanted_version: int) -> None: ...

    def wait(self) -> int: ...


class LaneEvaluator:
    """See Evaluator: one whose network is in another process. lanes: one for each slot.

    kind: which network is asked, as the other process counts them.
    weights_version: the newest one that answered so far, or that answers from now on.
    """

    def __init__(self, lanes: list[Lane], layout: LaneLayout, kind: int) -> None:
        self.max_batch = layout.max_batch
        self.num_slots = len(lanes)
        self.weights_version = 0
        self._lanes = lanes
        self._kind = kind
        self._num_positions = [0] * len(lanes)
        # Created once: views of each round would cost as much as a hundred simulations.
        self._observations = [layout.observations(lane.inputs) for lane in lanes]
        self._answers = [layout.answers(lane.outputs) for lane in lanes]

    def observations(self, slot: int) -> np.ndarray:
        return self._observations[slot]

    def submit(self, slot: int, num_positions: int) -> None:
        self._num_positions[slot] = num_positions
        self._lanes[slot].submit(num_positions, self._kind, self.weights_version)

    def collect(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        # The other process may have received newer weights than this one.
        self.weights_version = max(self.weights_version, self._lanes[slot].wait())
        num_positions = self._num_positions[slot]
        logits, outcomes = self._answers[slot]
        return logits[:num_positions], outcomes[:num_positions]

    def load_weights(self, arrays: Mapping[str, np.ndarray], weights_version: int) -> None:
        """Have what is submitted from now on evaluated with these weights, which the other process receives itself, or
        with newer ones.
        """
        self.weights_version = max(self.weights_version, weights_version)
