"""The processes in which the content of uploads is read: what it may do to a process, it does to one of these."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, TypeVar

from ddpzero.system.parent import follow_parent

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

# Of a call: a hundred times what any honest upload takes, and time to compile the rules of a game.
_MAX_SECONDS = 300.0
# Of a process, more than when it starts: torch, the compiler and the largest upload need a third of it.
_MAX_BYTES = 6 << 30
# A process that dies once may have been killed by someone else.
_MAX_TRIES = 2


class ProcessLost(Exception):
    """A call killed its process, took too long or needed too much memory. The message is the rest of a sentence."""


class Validators:
    """Processes that each answer one call at a time, and start when they are needed. Used in the event loop only.

    max_seconds: that a call may take.
    """

    def __init__(self, num_processes: int, max_seconds: float = _MAX_SECONDS) -> None:
        self._max_seconds = max_seconds
        self._workers = [_Worker() for _ in range(num_processes)]
        self._free: asyncio.Queue[_Worker] = asyncio.Queue()
        for worker in self._workers:
            self._free.put_nowait(worker)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function in one of the processes. Raises ProcessLost, which affects no other call."""
        # A client that leaves does not free the process.
        task = asyncio.create_task(self._call(function, *arguments))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    def close(self) -> None:
        for worker in self._workers:
            worker.close()

    async def _call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        worker = await self._free.get()
        try:
            for _ in range(_MAX_TRIES):
                try:
                    future = worker.submit(function, *arguments)
                    return await asyncio.wait_for(asyncio.wrap_future(future), self._max_seconds)
                except BrokenProcessPool:
                    logger.error("a validator died")
                    worker.renew()
                except TimeoutError:
                    logger.error("a validator took more than %g s", self._max_seconds)
                    worker.renew()
                    raise ProcessLost("it takes too long to read") from None
                except MemoryError:
                    logger.error("a validator had too little memory")
                    worker.renew()
                    raise ProcessLost("it needs too much memory") from None
            raise ProcessLost("it cannot be read")
        finally:
            self._free.put_nowait(worker)


class _Worker:
    """A process, or the next one after it died."""

    def __init__(self) -> None:
        self._pool = _make_pool()
        self._pid: Future[int] | None = None

    def submit(self, function: Callable[..., _Result], *arguments: Any) -> Future[_Result]:
        if self._pid is None:
            self._pid = self._pool.submit(os.getpid)
        return self._pool.submit(function, *arguments)

    def renew(self) -> None:
        """Kill the process if it lives, and begin with another one."""
        if self._pid is not None and self._pid.done() and not self._pid.exception():
            with suppress(ProcessLookupError):
                os.kill(self._pid.result(), signal.SIGKILL)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool, self._pid = _make_pool(), None

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def _make_pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), _begin_process, (os.getpid(),)
    )


def _begin_process(parent_pid: int) -> None:
    """Let this process end with the server, and limit its memory."""
    follow_parent(parent_pid)
    # Whoever stops the server may signal all of its processes; it needs this one to its end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(5)
    _limit_memory()


def _limit_memory() -> None:
    """Limit what this process may write to; its address space would also count libraries and reserved ranges."""
    import resource

    import psutil

    used = getattr(psutil.Process().memory_info(), "data", None)
    if used is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = used + _MAX_BYTES
        is_lower = hard == resource.RLIM_INFINITY or wanted < hard
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if is_lower else hard, hard))
