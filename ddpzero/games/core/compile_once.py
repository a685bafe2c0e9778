"""Lets processes that need the same machine code at the same time compile it once: one of them; the others wait for it.

Numba's cache alone lets all processes that miss a function compile it, and of two that save machine code of one
function at the same time, for two games, it keeps one's. Called by compiled.py in every process.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numba.core.caching import Cache

# Longer than any function takes: after it, a process compiles what another one seems to have left undone.
_MOST_SECONDS = 120.0
_SECONDS_BETWEEN_LOOKS = 0.05
_NUM_LOCKS = 1 << 40


class NotCompiledError(RuntimeError):
    """Code that should only be loaded is not in the cache."""


class _Policy:
    """may_compile: see only_loading."""

    may_compile = True


@contextmanager
def only_loading() -> Iterator[None]:
    """In the block, raise NotCompiledError where a function would be compiled because the cache lacks it."""
    _Policy.may_compile = False
    try:
        yield
    finally:
        _Policy.may_compile = True


def compile_once() -> None:
    """Install this in the process, for the functions that it compiles from now on."""
    load, save = Cache.load_overload, Cache.save_overload
    if getattr(load, "compiles_once", False):
        return
    locks = Locks()

    def load_or_take(cache: Any, signature: Any, context: Any) -> Any:
        """Load machine code; where there is none, take the lock of the function, which save_and_release releases."""
        found = load(cache, signature, context)
        if found is not None:
            return found
        if not _Policy.may_compile:
            raise NotCompiledError
        name = _name(cache, signature)
        locks.take(name)
        found = load(cache, signature, context)
        if found is not None:
            locks.release(name)
        return found

    def save_and_release(cache: Any, signature: Any, data: Any) -> None:
        try:
            # All code of a function shares an index, which saving reads, changes and writes.
            with locks.taken(_name(cache)):
                save(cache, signature, data)
        finally:
            locks.release(_name(cache, signature))

    load_or_take.compiles_once = True  # type: ignore[attr-defined]
    Cache.load_overload, Cache.save_overload = load_or_take, save_and_release


def _name(cache: Any, *parts: object) -> str:
    return "\n".join([cache._cache_file._index_path, *map(repr, parts)])


class Locks:
    """Locks between the processes of a user, by name: bytes of one file.

    They belong to the process, which can take one twice; its end releases them. Without a folder for the file there are
    none, and all processes compile.
    """

    def __init__(self) -> None:
        self._path = Path(tempfile.gettempdir()) / f"ddpzero-{os.getuid()}-compiled.lock"
        self._file: int | None = None

    def take(self, name: str) -> None:
        """Take a lock, after waiting for another process that has it; return without it when that takes too long."""
        until = time.monotonic() + _MOST_SECONDS
        while not self.try_take(name) and time.monotonic() < until:
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def release(self, name: str) -> None:
        try:
            fcntl.lockf(self._opened(), fcntl.LOCK_UN, 1, _offset(name))
        except OSError:
            return

    @contextmanager
    def taken(self, name: str) -> Iterator[None]:
        self.take(name)
        try:
            yield
        finally:
            self.release(name)

    def try_take(self, name: str) -> bool:
        """Take a lock unless another process has it; return whether no other has, also if there can be no locks."""
        try:
            file = self._opened()
        except OSError:
            return True
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _offset(name))
        # Which of the two says that another process has it depends on the system.
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return True
        return True

    def _opened(self) -> int:
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file


def _offset(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % _NUM_LOCKS
