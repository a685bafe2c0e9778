"""One batch in flight: its buffers, and on a GPU the streams that let it overlap with other batches.

Letters: B max_batch, A actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ddpzero.evaluators.answers import OUTCOME_SIZE
from ddpzero.evaluators.cpu_slot import CpuSlot
from ddpzero.evaluators.graphs import Answers, BatchGraphs, CudaCapture
from ddpzero.evaluators.inference import InferenceNetwork
from ddpzero.evaluators.sizes import batch_sizes
from ddpzero.evaluators.streams import CudaStreams, Streams


class Slot(Protocol):
    """See Evaluator for observations, submit and collect."""

    @property
    def observations(self) -> np.ndarray: ...

    def submit(self, num_positions: int) -> None: ...

    def is_finished(self) -> bool:
        """Return whether `collect` would not have to wait."""
        ...

    def collect(self) -> tuple[np.ndarray, np.ndarray]: ...

    def wait_before_weights_change(self) -> None:
        """Ensure that the batches already submitted are evaluated with the old weights."""
        ...

    def wait_for_changed_weights(self) -> None:
        """Ensure that the batches submitted from now on are evaluated with the new weights."""
        ...


def make_slots(
    inference: InferenceNetwork, max_batch: int, num_slots: int, cuda_graphs: bool
) -> list[Slot]:
    """cuda_graphs: on a GPU, compute by CUDA graphs, unless torch.compile makes its own."""
    if inference.device.type != "cuda":
        return [make_slot(inference, max_batch) for _ in range(num_slots)]
    streams = CudaStreams(inference.device)
    compute: Compute = lambda inputs, num_rows: inference.float_answers(inputs[:num_rows])  # noqa: E731
    if cuda_graphs and not inference.captures_itself:
        capture = CudaCapture(inference.device, streams.compute)
        compute = BatchGraphs(inference.float_answers, capture).run
    return [CudaSlot(inference, max_batch, streams, compute) for _ in range(num_slots)]


def make_slot(inference: InferenceNetwork, max_batch: int) -> Slot:
    if inference.device.type == "mps":
        return QueuedSlot(inference, max_batch)
    return CpuSlot(inference, max_batch)


# Computes the first rows of a slot's positions on the GPU, in the current stream.
Compute = Callable[[Tensor, int], Answers]


class CudaSlot:
    """Copies positions in, computes, and copies answers out, in a stream for each; only collect waits for the GPU.

    So a batch is computed while the answers of the one before are copied out and the positions of the next one in. All
    slots of an evaluator have the same streams.
    """

    def __init__(
        self, inference: InferenceNetwork, max_batch: int, streams: Streams, compute: Compute
    ):
        is_pinned = inference.device.type == "cuda"
        self._buffers = _Buffers(inference, max_batch, pinned=is_pinned)
        self._streams = streams
        self._compute = compute
        # Where graphs read, always the same memory.
        self._inputs = torch.zeros(
            max_batch, inference.game.observation_size_bytes, dtype=torch.uint8
        ).to(inference.device)
        # Kept until they are copied: the memory of freed tensors is used again by what is computed next.
        self._answers: Answers | None = None
        self._copied_in, self._computed, self._copied_out = (streams.event() for _ in range(3))
        # Inputs and weights were written in the current stream.
        streams.copy_in.wait_stream(streams.current())
        self.wait_for_changed_weights()

    @property
    def observations(self) -> np.ndarray:
        return self._buffers.observations

    def submit(self, num_positions: int) -> None:
        streams = self._streams
        packed = self._buffers.fill_up(num_positions)
        with streams.use(streams.copy_in):
            self._inputs[: len(packed)].copy_(packed, non_blocking=True)
            self._copied_in.record(streams.copy_in)
        with streams.use(streams.compute):
            self._copied_in.wait(streams.compute)
            self._answers = self._compute(self._inputs, len(packed))
            self._computed.record(streams.compute)
        with streams.use(streams.copy_out):
            self._computed.wait(streams.copy_out)
            self._buffers.take_results(*self._answers)
            self._copied_out.record(streams.copy_out)

    def is_finished(self) -> bool:
        return bool(self._copied_out.query())

    def collect(self) -> tuple[np.ndarray, np.ndarray]:
        self._copied_out.synchronize()
        return self._buffers.results()

    def wait_before_weights_change(self) -> None:
        self._streams.current().wait_stream(self._streams.compute)

    def wait_for_changed_weights(self) -> None:
        self._streams.compute.wait_stream(self._streams.current())


class QueuedSlot:
    """Evaluates in the device's only queue while the process goes on, as on an Apple GPU; only collect waits.

    The queue keeps its order: new weights are written after the batches that were submitted before them. finished: an
    event of that queue; None for torch.mps.Event.
    """

    def __init__(self, inference: InferenceNetwork, max_batch: int, finished: Any = None):
        self._inference = inference
        self._buffers = _Buffers(inference, max_batch, pinned=False)
        self._finished = finished or torch.mps.Event()
        self._on_device: tuple[Tensor, Tensor] | None = None

    @property
    def observations(self) -> np.ndarray:
        return self._buffers.observations

    def submit(self, num_positions: int) -> None:
        packed = self._buffers.fill_up(num_positions)
        logits, outcomes = self._inference.evaluate(packed.to(self._inference.device))
        self._on_device = logits.float(), outcomes
        self._finished.record()

    def is_finished(self) -> bool:
        """Return whether `collect` would not have to wait."""
        return self._on_device is None or bool(self._finished.query())

    def collect(self) -> tuple[np.ndarray, np.ndarray]:
        if self._on_device is not None:
            # A copy from another device waits for it, unless it is told not to.
            logits, outcomes = (tensor.cpu() for tensor in self._on_device)
            self._buffers.take_results(logits, outcomes)
            self._on_device = None
        return self._buffers.results()

    def wait_before_weights_change(self) -> None:
        pass

    def wait_for_changed_weights(self) -> None:
        pass


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
