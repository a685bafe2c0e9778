"""The streams of an evaluator on a GPU, with which copies of one batch overlap with the computation of another one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch


class Streams(Protocol):
    """Three queues of work on a GPU: each does its work in order, beside the others. Tests have some that record calls.

    compute: all batches of an evaluator are computed in this stream, never two at the same time.
    """

    copy_in: Any
    compute: Any
    copy_out: Any

    def current(self) -> Any:
        """Return the stream in which this thread works outside of `use`."""
        ...

    def use(self, stream: Any) -> AbstractContextManager[Any]:
        """Within this block, work goes to `stream`."""
        ...

    def event(self) -> Any:
        """Return a new mark in a stream, as torch.cuda.Event: record, wait, query, synchronize."""
        ...


class CudaStreams:
    """See Streams. Those of one evaluator: three from the 32 that torch has for a GPU.

    So an odd number each: the `compute` streams of 32 evaluators differ. Graphs that are captured in one stream share
    memory of cuBLAS, which some versions of torch (2.12) free with the first of them.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.copy_in = torch.cuda.Stream(device)
        self.compute = torch.cuda.Stream(device)
        self.copy_out = torch.cuda.Stream(device)

    def current(self) -> torch.cuda.Stream:
        return torch.cuda.current_stream(self._device)

    def use(self, stream: torch.cuda.Stream) -> AbstractContextManager[Any]:
        return torch.cuda.stream(stream)

    def event(self) -> torch.cuda.Event:
        # Blocking: who waits for it sleeps, instead of using a core that others need.
        return torch.cuda.Event(blocking=True)
