"""Signals between a rank and its actors: an actor ignores those that are meant for its rank."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

# torchrun and SLURM send these to the whole process group. The rank decides what they mean for its actors.
_GROUP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)

# The pool sends it to ask an actor for its stack (actors/crash_report.py).
STACK_SIGNAL = signal.SIGUSR2


def ignore_group_signals() -> None:
    """Ignore the signals that are meant for the rank, and unblock what `signals_held_back` blocked."""
    for number in _GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_GROUP_SIGNALS, STACK_SIGNAL})


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Block these signals within the block, so that a process started there cannot be ended before it ignores them.

    This process receives them after the block.
    """
    # Python's resource tracker unblocks signals when it starts, once per program: start it before.
    resource_tracker.ensure_running()
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {*_GROUP_SIGNALS, STACK_SIGNAL})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
