"""Holds a folder for one process, until it ends: the kernel releases the lock."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ddpzero.system.errors import UserError

_LOCK_FILE = ".lock"


@contextmanager
def held_folder(folder: Path, problem: str) -> Iterator[None]:
    """Hold a folder within the block; make it if there is none. Raises UserError(problem) if another process does."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / _LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise UserError(problem) from None
    try:
        yield
    finally:
        os.close(descriptor)
