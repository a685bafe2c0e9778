"""Lets test processes compile each function once: the others wait for its machine code instead of compiling it as well.

Most of the time of a first run of all tests is compilation. Numba's cache alone lets processes that miss a function at
the same time all compile it, and two that save machine code of one function at the same time lose one of both.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from numba.core.caching import Cache

# Longer than any function takes; a process that fails to compile a function keeps its lock until it ends.
_MOST_SECONDS = 120.0
_NUM_LOCKS = 1 << 40


def compile_once() -> None:
    """Install this in a process, for the functions that it compiles from now on."""
    # Locks are bytes of one file. They belong to the process: it can take one twice, and its end releases them.
    file = os.open(
        Path(tempfile.gettempdir()) / "ddpzero-tests.lock", os.O_RDWR | os.O_CREAT, 0o600
    )
    load, save = Cache.load_overload, Cache.save_overload

    def offset_of(cache: Any, *parts: object) -> int:
        text = "\n".join([cache._cache_file._index_path, *map(repr, parts)])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % _NUM_LOCKS

    def release(offset: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, offset)

    def take(offset: int) -> None:
        until = time.monotonic() + _MOST_SECONDS
        while time.monotonic() < until:
            with suppress(OSError):
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
                return
            time.sleep(0.05)

    def load_or_take(cache: Any, signature: Any, context: Any) -> Any:
        """Load machine code; without it, take the lock of the function, which `save` releases."""
        found = load(cache, signature, context)
        if found is not None:
            return found
        offset = offset_of(cache, signature)
        take(offset)
        found = load(cache, signature, context)
        if found is not None:
            release(offset)
        return found

    @contextmanager
    def index_of(cache: Any) -> Iterator[None]:
        offset = offset_of(cache)
        take(offset)
        try:
            yield
        finally:
            release(offset)

    def save_and_release(cache: Any, signature: Any, data: Any) -> None:
        try:
            with index_of(cache):
                save(cache, signature, data)
        finally:
            release(offset_of(cache, signature))

    Cache.load_overload, Cache.save_overload = load_or_take, save_and_release
