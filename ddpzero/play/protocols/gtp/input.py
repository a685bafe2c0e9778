"""Lines from another program, read by a thread: so that thinking can stop as soon as one arrives."""

from __future__ import annotations

import os
import queue
import threading
from typing import Protocol

from ddpzero.play.protocols.gtp.lines import is_interrupt

_CHUNK_BYTES = 1 << 16
# A longer line is cut: no command is as long, and memory is finite.
_LONGEST_LINE_BYTES = 1 << 20


class Lines(Protocol):
    """Where command lines come from."""

    def next(self) -> str | None:
        """Wait for the next line and return it; None at the end."""
        ...

    def is_waiting(self) -> bool:
        """Return whether a line, or the end, has arrived."""
        ...

    def wait(self) -> None:
        """Wait until a line, or the end, has arrived."""
        ...

    def is_interrupted(self) -> bool:
        """Return whether the command that runs was asked to stop."""
        ...


class LineReader:
    """The lines of a file descriptor. See Lines."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # Taken from the queue by `wait`.
        self._waiting: list[str | None] = []
        # An interrupt is meant for the lines before it, even if it arrives together with them.
        self._num_read = self._num_taken = self._num_interrupted = 0
        # The thread may wait for a line when the program ends.
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def next(self) -> str | None:
        self.wait()
        self._num_taken += 1
        return self._waiting.pop()

    def is_waiting(self) -> bool:
        return bool(self._waiting) or not self._lines.empty()

    def wait(self) -> None:
        if not self._waiting:
            self._waiting.append(self._lines.get())

    def is_interrupted(self) -> bool:
        return self._num_taken <= self._num_interrupted

    def _read(self) -> None:
        # Without sys.stdin, whose lock this thread would hold at the end of the program.
        rest = b""
        while True:
            try:
                chunk = os.read(self._descriptor, _CHUNK_BYTES)
            except OSError:
                chunk = b""
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[:_LONGEST_LINE_BYTES]
            if not chunk and rest:
                lines.append(rest)
            for line in lines:
                self._put(line[:_LONGEST_LINE_BYTES].decode(errors="replace"))
            if not chunk:
                self._lines.put(None)
                return

    def _put(self, line: str) -> None:
        if is_interrupt(line):
            self._num_interrupted = self._num_read
        else:
            self._num_read += 1
            self._lines.put(line)
