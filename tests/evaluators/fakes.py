"""Streams and a capture that record what is asked of a GPU, and do it at once on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from ddpzero.evaluators.graphs import Answers, CapturedBatch


class FakeStream:
    def __init__(self, name: str, calls: list[str]) -> None:
        self.name = name
        self._calls = calls

    def wait_stream(self, other: FakeStream) -> None:
        self._calls.append(f"{self.name} waits for {other.name}")


class FakeEvent:
    """query: what is_finished sees."""

    def __init__(self, number: int, calls: list[str]) -> None:
        self._number = number
        self._calls = calls
        self.is_done = False

    def record(self, stream: FakeStream) -> None:
        self._calls.append(f"{stream.name} marks {self._number}")

    def wait(self, stream: FakeStream) -> None:
        self._calls.append(f"{stream.name} waits for {self._number}")

    def query(self) -> bool:
        return self.is_done

    def synchronize(self) -> None:
        self._calls.append(f"host waits for {self._number}")


class FakeStreams:
    """See Streams. calls: in order; `do` adds one, with the stream in which it is done."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        names = ("copy_in", "compute", "copy_out", "default")
        self.copy_in, self.compute, self.copy_out, self._default = (
            FakeStream(name, self.calls) for name in names
        )
        self._current = self._default
        self.events: list[FakeEvent] = []

    def current(self) -> FakeStream:
        return self._current

    @contextmanager
    def use(self, stream: FakeStream) -> Iterator[None]:
        before, self._current = self._current, stream
        try:
            yield
        finally:
            self._current = before

    def event(self) -> FakeEvent:
        self.events.append(FakeEvent(len(self.events), self.calls))
        return self.events[-1]

    def do(self, what: str) -> None:
        self.calls.append(f"{self._current.name}: {what}")


class FakeCapture:
    """A capture as of a GPU: the function runs once and its answers are worth nothing until a replay writes them.

    A replay reads the memory that the function read. fails_at: the number of the capture that fails, from 0 on.
    """

    def __init__(self, fails_at: int | None = None) -> None:
        self.sizes: list[int] = []
        self.replays: list[int] = []
        self._fails_at = fails_at

    def __call__(self, compute: Callable[[], Answers]) -> CapturedBatch:
        if len(self.sizes) == self._fails_at:
            try:
                raise ValueError("operation not permitted when stream is capturing\nmore lines")
            except ValueError:
                raise RuntimeError("CUDA error: failed due to a previous error")  # noqa: B904
        static = tuple(torch.full_like(each, torch.nan) for each in compute())
        size = len(static[0])
        self.sizes.append(size)

        def replay() -> None:
            self.replays.append(size)
            for target, answer in zip(static, compute(), strict=True):
                target.copy_(answer)

        return CapturedBatch(replay, (static[0], static[1]))
