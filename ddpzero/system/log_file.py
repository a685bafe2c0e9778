"""A handler of the logging module that writes to a file and survives a full disk.

Used by ranks (logs.py) and by actors, whose processes have no console.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path


class LogFileHandler(logging.Handler):
    """Appends messages to a file. On a full disk messages are lost, and nothing else happens.

    tell: called with a level and a sentence when the first message is lost, and again once the file can be written.
    """

    def __init__(self, path: Path, tell: Callable[[int, str], None] | None = None) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
        self._path = path
        self._tell = tell
        self._fd: int | None = None
        self._num_lost = 0
        # Whether the last write stopped in the middle of a line.
        self._is_torn = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        # As in logging's own handlers: a message must not end the run.
        except Exception:
            self.handleError(record)
            return
        try:
            self._append(f"{text}\n".encode(errors="backslashreplace"))
        except OSError as error:
            self._num_lost += 1
            if self._tell is not None and self._num_lost == 1:
                reason = error.strerror or str(error)
                self._tell(
                    logging.WARNING,
                    f"{self._path} cannot be written ({reason}); the run continues without it.",
                )
            return
        if self._tell is not None and self._num_lost:
            self._tell(
                logging.INFO,
                f"{self._path} can be written again; messages missing in it: {self._num_lost}.",
            )
        self._num_lost = 0

    def fileno(self) -> int:
        """Return the open file's descriptor. Raises OSError if it cannot be opened."""
        if self._fd is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(
                self._path,
                os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK,
                0o666,
            )
        return self._fd

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        super().close()

    def _append(self, data: bytes) -> None:
        # Unbuffered: data that could not be written must not fail again at the next message or at exit.
        rest = memoryview(b"\n" + data if self._is_torn else data)
        while rest:
            num_written = os.write(self.fileno(), rest)
            rest = rest[num_written:]
            self._is_torn = len(rest) > 0
