"""Things that a training can do without for a while (curves, logs, status): their failure must not end it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)


class Outage:
    """Survives the failures of one thing; says once that it fails, and once that it works again.

    what: the thing, as the beginning of a sentence. Whoever uses it tries again at every call.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._num_failures = 0

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Swallow the failure of the block, whatever it is: nothing secondary is worth a training."""
        try:
            yield
        except Exception as error:
            self._num_failures += 1
            if self._num_failures == 1:
                reason = error.strerror if isinstance(error, OSError) else None
                logger.warning(
                    "%s cannot be written: %s. Training goes on without it.",
                    self._what,
                    reason or f"{type(error).__name__}: {error}",
                    # The disk's errors explain themselves.
                    exc_info=not isinstance(error, OSError),
                )
        else:
            if self._num_failures:
                logger.info(
                    "%s can be written again; failures in between: %d.",
                    self._what,
                    self._num_failures,
                )
            self._num_failures = 0


def append_whole(path: Path, data: bytes) -> None:
    """Append to a file without a buffer. Raises OSError if not all of it fits, and leaves the file as it was."""
    # Without waiting: a pipe that nobody reads is an OSError then.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    with open(os.open(path, flags, 0o666), "ab", buffering=0) as file:
        size_bytes = file.seek(0, os.SEEK_END)
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            with suppress(OSError):
                file.truncate(size_bytes)
            raise
