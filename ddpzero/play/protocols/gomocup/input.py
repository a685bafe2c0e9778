"""Reads a manager's commands in a thread of its own, so that the end of a match is heard while the program thinks."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

# After END or the end of stdin the program has so long to end by itself; managers wait for a second.
_GRACE_SECONDS = 0.5
_MAX_LINE_BYTES = 10_000


class Line(NamedTuple):
    """text: without its end. arrived: on time.monotonic."""

    text: str
    arrived: float


class Commands:
    """The commands of a manager, in their order."""

    def __init__(
        self,
        stream: BinaryIO,
        leave: Callable[[], None] = lambda: os._exit(0),
        is_answered: Callable[[str], bool] = lambda text: False,
    ) -> None:
        """leave: ends the process, if it has not ended by itself some time after END or the end of the stream.

        is_answered: called in the thread with the first lines, until it says no: whether it has answered the line.
        """
        self._stream = stream
        self._leave = leave
        self._is_answered = is_answered
        self._lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def next(self) -> Line | None:
        """Wait for the next command and return it; None after the last one."""
        return self._lines.get()

    @property
    def is_next_there(self) -> bool:
        return not self._lines.empty()

    @property
    def have_ended(self) -> bool:
        """Whether the manager wants no further move, even if it has not been given the last one."""
        return self._ended.is_set()

    def _read(self) -> None:
        is_first = True
        while content := self._stream.readline(_MAX_LINE_BYTES):
            text = content.decode("utf-8", errors="replace").strip()
            if text.upper() == "END":
                break
            if is_first and self._is_answered(text):
                continue
            is_first = False
            self._lines.put(Line(text, time.monotonic()))
        self._ended.set()
        self._lines.put(None)
        time.sleep(_GRACE_SECONDS)
        self._leave()
