"""For how long the learner's device works on updates, known without waiting for it.

On a GPU two events mark each update in the device's queue; their times are read once the device has passed them. What
lies between them counts, also the moments in which it waits for the next kernel, or works for another process.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import torch


class Event(Protocol):
    """A mark in a device's queue, as of torch.cuda or torch.mps."""

    def record(self) -> None: ...

    def query(self) -> bool:
        """Return whether the device has passed it."""
        ...

    def elapsed_time(self, end_event: Any) -> float:
        """Return the milliseconds from this event to a later one; the device has passed both."""
        ...


class DeviceTime:
    """Sums the time of blocks that submit work to a device.

        with device_time():
            updater.update(...)

    is_used: whether a block has begun. make_event: of the device's queue; None on a CPU, where a block's work is done
    at its end.
    """

    def __init__(self, make_event: Callable[[], Event] | None) -> None:
        self._make_event = make_event
        self._under_way: deque[tuple[Event, Event]] = deque()
        self._spare: list[Event] = []
        self._seconds = 0.0
        # Of the block that is open.
        self._begun = 0.0
        self._marks: tuple[Event, Event]
        self.is_used = False

    def __call__(self) -> DeviceTime:
        """Count the device's time for the work of the block, if it ends without an exception; blocks do not nest."""
        self.is_used = True
        return self

    # Not a generator, for it is called between two updates: see PhaseClock.
    def __enter__(self) -> None:
        if self._make_event is None:
            self._begun = time.perf_counter()
            return
        self._marks = self._event(self._make_event), self._event(self._make_event)
        self._marks[0].record()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        if self._make_event is None:
            self._seconds += time.perf_counter() - self._begun
            return
        self._marks[1].record()
        self._under_way.append(self._marks)
        self._read_finished()

    def take(self) -> float:
        """Return the seconds of all blocks that were finished since the last call; never waits."""
        self._read_finished()
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def _event(self, make_event: Callable[[], Event]) -> Event:
        return self._spare.pop() if self._spare else make_event()

    def _read_finished(self) -> None:
        while self._under_way and self._under_way[0][1].query():
            start, end = self._under_way.popleft()
            self._seconds += start.elapsed_time(end) / 1000
            self._spare += [start, end]


def device_time_of(device: torch.device) -> DeviceTime:
    """Return a DeviceTime for work in the current queue of `device`."""
    if device.type == "cuda":
        return DeviceTime(lambda: torch.cuda.Event(enable_timing=True))
    if device.type == "mps":
        return DeviceTime(lambda: torch.mps.Event(enable_timing=True))
    return DeviceTime(None)
