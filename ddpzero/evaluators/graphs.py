"""CUDA graphs of an evaluator's batches: all kernels of a batch are launched at once, the most part of a small batch.

A graph repeats its kernels on the memory with which it was captured. Therefore a slot has its own inputs on the GPU, a
graph belongs to a slot and a batch size, and new weights are copied over the old ones (InferenceNetwork.load_weights).
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

# Logits `[n, A]` and outcomes, float32 and contiguous.
Answers = tuple[Tensor, Tensor]
# Libraries choose algorithms, and torch.compile compiles, in the first calls: none of it may be captured.
_NUM_WARM_UPS = 2


class CapturedBatch(NamedTuple):
    """replay: launches the kernels in the current stream. answers: where each replay writes them."""

    replay: Callable[[], None]
    answers: Answers


# Captures what a function launches, and returns it; the function runs once, and nothing is computed.
Capture = Callable[[Callable[[], Answers]], CapturedBatch]


class BatchGraphs:
    """Computes batches by graphs, captured when a size is first needed. If a capture fails, new sizes do without.

    compute: positions `[n, bytes]` on the GPU -> their answers. Call `run` in one stream alone: graphs share memory.
    """

    def __init__(self, compute: Callable[[Tensor], Answers], capture: Capture) -> None:
        self._compute = compute
        self._capture = capture
        self._captured: dict[tuple[int, int], CapturedBatch] = {}
        self._has_failed = False

    def run(self, inputs: Tensor, num_rows: int) -> Answers:
        """Compute the first rows of `inputs`, which always has the same memory in a slot.

        The answers are valid until the next call with these inputs.
        """
        key = (inputs.data_ptr(), num_rows)
        if key not in self._captured and not self._has_failed:
            self._capture_batch(inputs, num_rows)
        if key not in self._captured:
            return self._compute(inputs[:num_rows])
        captured = self._captured[key]
        captured.replay()
        return captured.answers

    def _capture_batch(self, inputs: Tensor, num_rows: int) -> None:
        # The largest size first: smaller ones then find the memory that they need in between, and allocate no more.
        sizes = {num_rows} if self._captured else {num_rows, len(inputs)}
        try:
            for size in sorted(sizes, reverse=True):
                rows = inputs[:size]
                for _ in range(_NUM_WARM_UPS):
                    self._compute(rows)
                captured = self._capture(lambda rows=rows: self._compute(rows))  # type: ignore[misc]
                self._captured[inputs.data_ptr(), size] = captured
        # Drivers, libraries and compilers have errors of their own. One that is not of the capture comes again without.
        except Exception as error:
            self._has_failed = True
            logger.warning(
                "Batches of %d positions and of other new sizes are evaluated without CUDA graphs, which is slower: "
                "the capture failed (%s).",
                num_rows,
                _first_line(error),
            )


class CudaCapture:
    """See Capture. All graphs share a memory pool, for they are replayed in one stream: never two at the same time.

    stream: of the replays; captures in it, too, so that libraries have their memory for it already.
    """

    def __init__(self, device: torch.device, stream: torch.cuda.Stream) -> None:
        self._device = device
        self._stream = stream
        self._pool: Any = None
        # None is destroyed before the others, not even after a failure. With the first one, torch 2.12 frees memory of
        # cuBLAS that the others use; and earlier versions look at a failed one again.
        self._graphs: list[torch.cuda.CUDAGraph] = []

    def __call__(self, compute: Callable[[], Answers]) -> CapturedBatch:
        # torch.cuda.graph waits for the current device, which may be another one.
        with torch.cuda.device(self._device), _without_garbage_collection():
            if self._pool is None:
                self._pool = torch.cuda.graph_pool_handle()
            graph = torch.cuda.CUDAGraph()
            self._graphs.append(graph)
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ):
                answers = compute()
        return CapturedBatch(graph.replay, answers)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Within this block, no kernel is unloaded with an object that Python removes: that would end a capture."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _first_line(error: BaseException) -> str:
    """Return why a capture failed: the error within it, if its end has failed because of it."""
    cause = error.__context__ or error
    lines = str(cause).splitlines() or [""]
    return f"{type(cause).__name__}: {lines[0]}"
