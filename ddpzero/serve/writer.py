"""The thread that writes to the database: one write follows another, so none has to wait for a lock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class Writer:
    """Calls functions that write to the database. Used in the server's event loop only."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "database")

    async def call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: function(*arguments)
        )

    def close(self) -> None:
        """End the thread, after the writes that were begun."""
        self._thread.shutdown()
