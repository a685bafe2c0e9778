"""Things that a training can do without for a while (curves, logs, status): their failure must not end it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

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
