"""How one rank hears that it should stop. Called by main.py before anything heavy is imported: a SIGTERM that comes
while torch loads must already find the handler. Never imports torch, never saves by itself: the loop asks `is_set`.
"""

from __future__ import annotations

import ctypes
import os
import signal
from types import FrameType

_PR_SET_PDEATHSIG = 1


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


def install_stop_signal() -> StopSignal:
    """Turn SIGTERM, SIGHUP, SIGUSR1 and the first SIGINT into a wish to stop; a second SIGINT is KeyboardInterrupt.

    SIGUSR1 is what SLURM sends ahead of a time limit. SIGHUP stays ignored where nohup ignores it.
    """
    stop = StopSignal()

    def ask(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and stop.reason == "SIGINT":
            raise KeyboardInterrupt
        stop.set(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, ask)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, ask)
    return stop


def die_with_parent() -> None:
    """Under torchrun, let the kernel kill this rank when its agent dies: a `kill -9` of the agent leaves none behind.

    Without torchrun nothing happens: there the parent is a shell, which may leave its job running on purpose.
    Linux only. Call it from the main thread, early: an agent that died before the call goes unnoticed.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl(PR_SET_PDEATHSIG): {os.strerror(code)}")
    if os.getppid() != parent:  # it died while we asked
        os.kill(os.getpid(), signal.SIGKILL)
