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
from typing import Any, TypeVar

from ddpzero.serve.refusals import Refusal
from ddpzero.system.parent import follow_parent

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_RETRY_SECONDS = 5


class Validators:
    """A pool of processes, which start when they are needed. Used in the server's event loop only."""

    def __init__(self, num_processes: int) -> None:
        self._num_processes = num_processes
        self._pool = self._make_pool()

    async def call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function in one of the processes. Raises Refusal if the process dies."""
        pool = self._pool
        try:
            future: Future[_Result] = pool.submit(function, *arguments)
            return await asyncio.wrap_future(future)
        except BrokenProcessPool:
            logger.exception("a validator died")
            # Other calls may have found it broken, too.
            if self._pool is pool:
                pool.shutdown(wait=False)
                self._pool = self._make_pool()
            raise Refusal(
                503, "the games could not be validated: try again.", _RETRY_SECONDS
            ) from None

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _make_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._num_processes,
            multiprocessing.get_context("spawn"),
            _begin_process,
            (os.getpid(),),
        )


def _begin_process(parent_pid: int) -> None:
    """Let this process end with the server."""
    follow_parent(parent_pid)
    # Whoever stops the server may signal all of its processes; it needs this one to its end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(5)
