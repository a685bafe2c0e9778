"""Signals between a rank and its actors: an actor ignores those that are meant for its rank."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

# torchrun and SLURM send these to the whole process group. What they mean for actors, the rank decides.
_GROUP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)

# The pool sends it to ask an actor for its stack (last_words.py).
STACK_SIGNAL = signal.SIGUSR2


def ignore_group_signals() -> None:
    """Ignore what is meant for the rank, and let through again what `signals_held_back` held back."""
    for number in _GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_GROUP_SIGNALS, STACK_SIGNAL})


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Start a process in here and it is born with signals blocked: none can end it before it ignores them.

    In this process they are delivered after the block.
    """
    # Python's resource tracker, once per program, unblocks signals when it is started: start it before.
    resource_tracker.ensure_running()
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {*_GROUP_SIGNALS, STACK_SIGNAL})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
