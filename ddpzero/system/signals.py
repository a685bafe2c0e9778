"""How one rank hears that it should stop. Called by main.py before anything heavy is imported: a SIGTERM that comes
while torch loads must already find the handler. Never imports torch, never saves by itself: the loop asks `is_set`.
"""

from __future__ import annotations

import signal
from types import FrameType


class StopSignal:
    """A wish to stop: the loop finishes its step, saves, and leaves.

    reason: the signal's name ("SIGTERM"), or what `set` was given; "" while nobody asked.
    """

    def __init__(self) -> None:
        self.reason = ""

    @property
    def is_set(self) -> bool:
        return bool(self.reason)

    def set(self, reason: str) -> None:
        """Ask for the stop; the first reason stays."""
        self.reason = self.reason or reason


def install_stop_signal(stop: StopSignal | None = None) -> StopSignal:
    """Turn SIGTERM, SIGHUP, SIGUSR1 and the first SIGINT into a wish to stop; a second SIGINT is KeyboardInterrupt.

    stop: hears them (again); None makes a new one.

    SIGUSR1 is what SLURM sends ahead of a time limit. SIGHUP stays ignored where nohup ignores it.
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
