"""Signs of life of an arena worker while it plays or judges: as long as it uses the processor, its rank hears of it.

The search of one move may take longer than actors.hang_seconds: with large networks or many simulations, for a batch of
games, on a machine whose cores are busy with self-play. A worker that hangs uses no CPU time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from ddpzero.actors.connection import RankGone

_INTERVAL_SECONDS = 1.0
# A worker of low priority may get a hundredth of a core.
_CPU_SECONDS_OF_A_SIGN = 0.02
# An endless loop uses CPU time, too: without progress, a worker falls silent after this time.
_MOST_SECONDS_WITHOUT_PROGRESS = 3600.0


class SignsOfLife:
    """Context manager: within its block a thread calls `send` about once a second; nothing else may send meanwhile."""

    def __init__(self, send: Callable[[], None]) -> None:
        self._send = send
        self._is_over = threading.Event()
        self._progressed_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="signs of life", daemon=True)

    def __enter__(self) -> SignsOfLife:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def note_progress(self, *_: object) -> None:
        """Note that a move was made or a batch was judged. Takes and ignores what on_progress passes."""
        self._progressed_at = time.monotonic()

    def _run(self) -> None:
        at_last_sign = _cpu_seconds_of_other_threads()
        while not self._is_over.wait(_INTERVAL_SECONDS):
            used = _cpu_seconds_of_other_threads()
            is_silent = time.monotonic() - self._progressed_at > _MOST_SECONDS_WITHOUT_PROGRESS
            if is_silent or used - at_last_sign < _CPU_SECONDS_OF_A_SIGN:
                continue
            at_last_sign = used
            try:
                self._send()
            except RankGone:
                return


def _cpu_seconds_of_other_threads() -> float:
    """Return the CPU time of this process without that of this thread, whose waiting is no sign of life."""
    return time.process_time() - time.thread_time()
