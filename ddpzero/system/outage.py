"""Protects a training from failures of optional outputs (curves, logs, status)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


class Outage:
    """Suppresses the failures of one output; logs once that it fails, and once that it works again.

    what: the output, as the beginning of a sentence. Callers try it again on every call.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._num_failures = 0

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Suppress any exception of the block: a failure of an optional output must not end a training."""
        try:
            yield
        except Exception as error:
            self._num_failures += 1
            if self._num_failures == 1:
                reason = error.strerror if isinstance(error, OSError) else None
                logger.warning(
                    "%s cannot be written: %s. Training continues without it.",
                    self._what,
                    reason or f"{type(error).__name__}: {error}",
                    # Errors of the disk need no traceback.
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
