"""What a session still has to tell its page: filled by the session's thread, emptied by the server's event loop."""

from __future__ import annotations

import asyncio
from typing import Any

from ddpzero.system.json_text import json_text

# A page that lags so many messages behind no longer reads.
_MAX_WAITING = 500


class Outbox:
    """See above. A page that reads slowly gets only the newest thoughts."""

    def __init__(self) -> None:
        """Call it in the event loop that empties the outbox."""
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[bool, str]] = []
        self._has_some = asyncio.Event()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; any thread may call this."""
        entry = message["type"] == "thoughts", json_text(message)
        # Raises RuntimeError after the end of the event loop, which nobody is left to hear of.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._put, entry)

    def _put(self, entry: tuple[bool, str]) -> None:
        is_thoughts, _ = entry
        if is_thoughts and self._waiting and self._waiting[-1][0]:
            self._waiting.pop()
        if len(self._waiting) < _MAX_WAITING:
            self._waiting.append(entry)
        self._has_some.set()

    async def next(self) -> str:
        """Return the next message, as soon as there is one."""
        while not self._waiting:
            self._has_some.clear()
            await self._has_some.wait()
        return self._waiting.pop(0)[1]
