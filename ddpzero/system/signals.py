"""Signals that ask a rank to stop. main.py installs the handler before it imports anything heavy, so that a SIGTERM
during the import of torch is handled. Never imports torch and never saves: the training loop checks `is_set`.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopSignal:
    """A request to stop: the loop finishes its step, saves, and exits.

    reason: the signal's name ("SIGTERM") or the argument of `set`; "" without a request.
    """

    def __init__(self) -> None:
        self.reason = ""

    @property
    def is_set(self) -> bool:
        return bool(self.reason)

    def set(self, reason: str) -> None:
        """Request a stop; only the first reason is kept."""
        self.reason = self.reason or reason


def install_stop_signal(stop: StopSignal | None = None) -> StopSignal:
    """Turn SIGTERM, SIGHUP, SIGUSR1 and the first SIGINT into a request to stop; a second SIGINT is KeyboardInterrupt.

    stop: receives the requests (again); None creates a new one. SLURM sends SIGUSR1 ahead of a time limit. SIGHUP stays
    ignored under nohup.
    """
    stop = stop or StopSignal()

    def ask(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and stop.reason == "SIGINT":
            raise KeyboardInterrupt
        stop.set(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, ask)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, ask)
    return stop


@contextmanager
def exit_at_signals() -> Iterator[None]:
    """Within this block, SIGTERM and SIGHUP raise SystemExit, so that what was begun is taken back.

    SIGHUP stays ignored under nohup. For programs that have nothing to save; call it in the main thread.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
