"""What is done before a pool's actors start, in a process that then goes: compiling.

Actors find the compiled code in files. The compiler's memory, some 200 MB, goes with its process instead of staying in
an actor, and the pools of a node take turns, so that no two compile the same.
"""

from __future__ import annotations

import fcntl
import importlib
import multiprocessing
import os
import tempfile
from pathlib import Path

from ddpzero.actors.environment import actor_environment, standard_error_in
from ddpzero.actors.lifeline import follow_parent, ignore_group_signals, signals_held_back
from ddpzero.actors.spec import ActorSpec

_SPAWN = multiprocessing.get_context("spawn")


class Preparation:
    """Runs `spec.preparation` in a process of its own. Start it from the rank's main thread.

    log_file: gets its standard error, with the traceback of a failure; None: the console.
    """

    def __init__(self, spec: ActorSpec, log_file: Path | None = None) -> None:
        self._process = _SPAWN.Process(
            target=_prepare, args=(os.getpid(), spec), name="preparation"
        )
        with (
            actor_environment(spec.num_threads),
            signals_held_back(),
            standard_error_in(log_file),
        ):
            self._process.start()

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
        assert exit_code is not None
        return exit_code


def _prepare(parent_pid: int, spec: ActorSpec) -> None:
    follow_parent(parent_pid)
    ignore_group_signals()
    assert spec.preparation is not None
    module, _, function = spec.preparation.partition(":")
    with open(_lock_file(), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        getattr(importlib.import_module(module), function)(**spec.arguments)


def _lock_file() -> Path:
    return Path(tempfile.gettempdir()) / f"ddpzero-{os.getuid()}.lock"
