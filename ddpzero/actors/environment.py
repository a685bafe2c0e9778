"""The environment variables and the standard error of a new actor process."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Read by libraries when they are imported: setting them later in the actor would be too late.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
# An actor does not belong to the process group of the ranks; with these it could try to join it.
_RANK_VARIABLES = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "GROUP_WORLD_SIZE",
    "ROLE_RANK",
    "ROLE_WORLD_SIZE",
    "ROLE_NAME",
    "MASTER_ADDR",
    "MASTER_PORT",
)


@contextmanager
def _spawn_as_start_method() -> Iterator[None]:
    """Within this block, Python's default start method is spawn.

    A new process takes over the default of this one. In a process of joblib, where the jobs of a sweep may run, that is
    "loky", which the new process does not know and fails on.
    """
    previous = multiprocessing.get_start_method(allow_none=True)
    if previous in (None, "spawn"):
        yield
        return
    multiprocessing.set_start_method("spawn", force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(previous, force=True)


@contextmanager
def actor_environment(num_threads: int) -> Iterator[None]:
    """Within this block, this process's environment is what an actor should inherit."""
    original = dict(os.environ)
    for name in original:
        if name in _RANK_VARIABLES or name.startswith("TORCHELASTIC_"):
            del os.environ[name]
    os.environ.update({name: str(num_threads) for name in _THREAD_VARIABLES})
    try:
        with _spawn_as_start_method():
            yield
    finally:
        for name in os.environ.keys() - original.keys():
            del os.environ[name]
        os.environ.update(original)


@contextmanager
def standard_error_in(file: Path | None) -> Iterator[None]:
    """Within this block, new processes inherit `file`, opened for appending, as their standard error.

    Otherwise the output of libraries and of the interpreter would tear the progress line of the rank. With None, or a
    file that cannot be opened, they inherit this process's standard error.
    """
    try:
        saved, target = _open_beside_stderr(file) if file is not None else (None, None)
    except OSError:
        saved = target = None
    if saved is None or target is None:
        yield
        return
    os.dup2(target, 2)
    os.close(target)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _open_beside_stderr(file: Path) -> tuple[int, int]:
    """Return a copy of the standard error's descriptor and one of the opened file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # Non-blocking: opening a pipe that nobody reads is then an OSError.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    target = os.open(file, flags, 0o666)
    try:
        return os.dup(2), target
    except OSError:
        os.close(target)
        raise
