"""An actor lives exactly as long as its rank, and leaves signals to it. Linux only.

A rank killed with SIGKILL runs no code, so only the kernel can end its actors: PR_SET_PDEATHSIG. It fires when the
*thread* that started the actor ends, hence ranks start actors from their main thread only.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

_PR_SET_PDEATHSIG = 1

# torchrun and SLURM send these to the whole process group. What they mean for actors, the rank decides.
_GROUP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)

# The pool sends it to ask an actor for its stack (last_words.py).
STACK_SIGNAL = signal.SIGUSR2


def follow_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent dies; leave at once if that has happened already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl(PR_SET_PDEATHSIG): {os.strerror(code)}")
    if os.getppid() != parent_pid:
        os._exit(1)


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
