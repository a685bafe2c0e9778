"""Compiles what actors need before they start, in a process that ends afterwards.

Actors load the compiled code from files. The compiler's memory, some 200 MB, is freed with its process instead of
staying in every actor, and the pools of a node take turns, so that no two compile the same code.
"""

from __future__ import annotations

import fcntl
import importlib
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from ddpzero.actors.environment import actor_environment, standard_error_in
from ddpzero.actors.signals import ignore_group_signals, signals_held_back
from ddpzero.actors.spec import ActorSpec
from ddpzero.system.parent import follow_parent

_SPAWN = multiprocessing.get_context("spawn")
_COMPILING = b"compiling"
# Loading the cache takes a second or two.
_LONG_WAIT_SECONDS = 5.0


class Preparation:
    """Runs `spec.preparation` in a process of its own. Start it from the rank's main thread.

    log_file: gets its standard error, with the traceback of a failure; None: the console.
    """

    def __init__(self, spec: ActorSpec, log_file: Path | None = None) -> None:
        self._news, news_writer = _SPAWN.Pipe(duplex=False)
        self._is_compiling = False
        self._process = _SPAWN.Process(
            target=_prepare, args=(os.getpid(), spec, news_writer), name="preparation"
        )
        with (
            actor_environment(spec.num_threads),
            signals_held_back(),
            standard_error_in(log_file),
        ):
            self._process.start()
        news_writer.close()

    @property
    def is_compiling(self) -> bool:
        """Whether something was compiled so far, by this process or by another pool that it waits for."""
        if not self._is_compiling and self._news.poll():
            with suppress(EOFError):  # it has ended
                self._is_compiling = self._news.recv_bytes() == _COMPILING
        return self._is_compiling

    @property
    def is_running(self) -> bool:
        return self._process.is_alive()

    @property
    def sentinel(self) -> int:
        """A file descriptor that is ready to be read once the process has ended."""
        return self._process.sentinel

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def close(self) -> int:
        """End the process if it still runs; returns its exit code."""
        self._process.kill()
        self._process.join()
        exit_code = self._process.exitcode
        self._process.close()
        self._news.close()
        assert exit_code is not None
        return exit_code


def _prepare(parent_pid: int, spec: ActorSpec, news: Connection) -> None:
    follow_parent(parent_pid)
    ignore_group_signals()
    assert spec.preparation is not None
    module, _, function = spec.preparation.partition(":")
    tell = _Once(lambda: news.send_bytes(_COMPILING))
    _call_at_compilations(tell)
    with open(_lock_file(), "a") as lock:
        # Another pool that holds the lock for long is compiling.
        timer = threading.Timer(_LONG_WAIT_SECONDS, tell)
        timer.daemon = True
        timer.start()
        fcntl.flock(lock, fcntl.LOCK_EX)
        timer.cancel()
        getattr(importlib.import_module(module), function)(**spec.arguments)


class _Once:
    """Calls a function the first time it is called, and then never again."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def __call__(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()


def _call_at_compilations(tell: Callable[[], None]) -> None:
    """Have numba call `tell` whenever it compiles; code that it finds in its cache does not count."""
    from numba.core import event

    class Compilations(event.Listener):
        def on_start(self, event: event.Event) -> None:
            tell()

        def on_end(self, event: event.Event) -> None:
            pass

    event.register("numba:compile", Compilations())


def _lock_file() -> Path:
    return Path(tempfile.gettempdir()) / f"ddpzero-{os.getuid()}.lock"
