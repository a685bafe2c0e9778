"""Memory that a process shares with those that it starts: a file without a name, of which a kill leaves nothing behind.

On Linux it is a memfd, which does not use /dev/shm: that has only 64 MB in a container. Elsewhere it is a temporary
file that is removed as soon as it is open; the system keeps it in memory as long as there is room.
"""

from __future__ import annotations

import os
import tempfile
import threading

_lock = threading.Lock()


def open_shared(name: str, size_bytes: int = 0) -> int:
    """Return the descriptor of a new file of this size, all zeros; name: for people who look at the open files.

    Raises OSError if there is no memory for it, where the system can tell; otherwise a write would end in SIGBUS.
    """
    fd = _open(name)
    try:
        if size_bytes > 0:
            _allocate(fd, size_bytes)
    except OSError:
        os.close(fd)
        raise
    return fd


def fence() -> None:
    """Let other processes see what was written before this call no later than what is written after it.

    The same holds for reads. Processors such as ARM's reorder both otherwise. A lock that is taken keeps later accesses
    behind it and one that is released keeps earlier ones before it; they may still meet while it is held. Between two
    locks they do not: ARMv8 orders a release before the acquire that follows it.
    """
    for _ in range(2):
        with _lock:
            pass


def _open(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    fd, path = tempfile.mkstemp(prefix=f"ddpzero-{name}-")
    os.unlink(path)
    return fd


def _allocate(fd: int, size_bytes: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size_bytes)
    else:
        os.ftruncate(fd, size_bytes)
