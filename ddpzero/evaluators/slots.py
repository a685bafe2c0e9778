"""One batch in flight: its buffers, and on a GPU the stream that lets it overlap with other batches.

Letters: B max_batch, A actions.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ddpzero.evaluators.answers import OUTCOME_SIZE
from ddpzero.evaluators.cpu_slot import CpuSlot
from ddpzero.evaluators.inference import InferenceNetwork
from ddpzero.evaluators.sizes import batch_sizes


class Slot(Protocol):
    """See Evaluator for the first three."""

    @property
    def observations(self) -> np.ndarray: ...

    def submit(self, num_positions: int) -> None: ...

    def collect(self) -> tuple[np.ndarray, np.ndarray]: ...

    def wait_before_weights_change(self) -> None:
        """Ensure that the batches already submitted are evaluated with the old weights."""
        ...

    def wait_for_changed_weights(self) -> None:
        """Ensure that the batches submitted from now on are evaluated with the new weights."""
        ...


def make_slot(inference: InferenceNetwork, max_batch: int) -> Slot:
    if inference.device.type == "cuda":
        return CudaSlot(inference, max_batch)
    return CpuSlot(inference, max_batch)


class CudaSlot:
    """Copies and computes in a separate stream, with pinned buffers; only collect waits for the GPU."""

    def __init__(self, inference: InferenceNetwork, max_batch: int):
        self._inference = inference
        self._buffers = _Buffers(inference, max_batch, pinned=True)
        self._stream = torch.cuda.Stream(inference.device)
        self._finished = torch.cuda.Event()
        # The weights were written in the current stream.
        self.wait_for_changed_weights()

    @property
    def observations(self) -> np.ndarray:
        return self._buffers.observations

    def submit(self, num_positions: int) -> None:
        packed = self._buffers.fill_up(num_positions)
        with torch.cuda.stream(self._stream):
            on_device = packed.to(self._inference.device, non_blocking=True)
            logits, outcomes = self._inference.evaluate(on_device)
            self._buffers.take_results(logits.float(), outcomes)
            self._finished.record()

    def collect(self) -> tuple[np.ndarray, np.ndarray]:
        self._finished.synchronize()
        return self._buffers.results()

    def wait_before_weights_change(self) -> None:
        torch.cuda.current_stream(self._inference.device).wait_stream(self._stream)

    def wait_for_changed_weights(self) -> None:
        self._stream.wait_stream(torch.cuda.current_stream(self._inference.device))


class _Buffers:
    """Inputs and outputs of a slot in CPU memory; pinned: page-locked, for asynchronous copies to a GPU."""

    def __init__(self, inference: InferenceNetwork, max_batch: int, pinned: bool):
        game = inference.game
        self._sizes = batch_sizes(max_batch)
        self._num_positions = 0
        # Zeros, because padding a batch may evaluate rows that were never written.
        self._packed = torch.zeros(
            max_batch, game.observation_size_bytes, dtype=torch.uint8, pin_memory=pinned
        )
        self._logits = torch.zeros(max_batch, game.num_actions, pin_memory=pinned)
        self._outcomes = torch.zeros(max_batch, OUTCOME_SIZE, pin_memory=pinned)
        # Create the views once: creating them in every round would cost as much as a hundred simulations.
        self.observations = self._packed.numpy()
        self._logits_array = self._logits.numpy()
        self._outcomes_array = self._outcomes.numpy()

    def fill_up(self, num_positions: int) -> Tensor:
        """Begin a batch; return its rows, padded to the next batch size in use."""
        self._num_positions = num_positions
        return self._packed[: next(size for size in self._sizes if size >= num_positions)]

    def take_results(self, logits: Tensor, outcomes: Tensor) -> None:
        """Copy the batch's results in; from a GPU without waiting for them."""
        num_positions = self._num_positions
        self._logits[:num_positions].copy_(logits[:num_positions], non_blocking=True)
        width = outcomes.shape[1]  # 3 without points, whose column then stays 0
        self._outcomes[:num_positions, :width].copy_(outcomes[:num_positions], non_blocking=True)

    def results(self) -> tuple[np.ndarray, np.ndarray]:
        num_positions = self._num_positions
        return self._logits_array[:num_positions], self._outcomes_array[:num_positions]
