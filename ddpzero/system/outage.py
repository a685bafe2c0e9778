"""Protects a training from failures of optional outputs (curves, logs, status)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


class Outage:
    """Suppresses the failures of one output; logs once that it fails, and once that it works again.

    what: the output, as the beginning of a sentence; failing, working: the rest of it. Callers try the output again on
    every call.
    """

    def __init__(
        self, what: str, failing: str = "cannot be written", working: str = "can be written again"
    ) -> None:
        self._what, self._failing, self._working = what, failing, working
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
                    "%s %s: %s. Training continues without it.",
                    self._what,
                    self._failing,
                    reason or f"{type(error).__name__}: {error}",
                    # Errors of the disk need no traceback.
                    exc_info=not isinstance(error, OSError),
                )
        else:
            if self._num_failures:
                logger.info(
                    "%s %s; failures in between: %d.",
                    self._what,
                    self._working,
                    self._num_failures,
                )
            self._num_failures = 0
