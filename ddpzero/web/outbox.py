"""What a session still has to tell its page: filled by the session's thread, emptied by the server's event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from ddpzero.system.json_text import json_text

# Each says all that the earlier one of its type said; of the others, none may be missing.
_OF_WHICH_THE_NEWEST_IS_ENOUGH = {"state", "thoughts", "exact", "team_state", "preparing"}
# More than the review of the longest game: a page that lags so far behind no longer reads.
_MAX_WAITING_CHARACTERS = 32 << 20


class PageLags(Exception):
    """A page reads far more slowly than it is told things."""


class Outbox:
    """See above. A page that reads slowly gets only the newest state, and the newest thoughts about it.

    A page for which far too much is waiting gets nothing more.
    """

    def __init__(self) -> None:
        """Call it in the event loop that empties the outbox."""
        self._loop = asyncio.get_running_loop()
        # Types and texts.
        self._waiting: deque[tuple[str, str]] = deque()
        self._num_characters = 0
        self._has_some = asyncio.Event()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; any thread may call this."""
        entry = message["type"], json_text(message)
        # Raises RuntimeError after the end of the event loop, which nobody is left to hear of.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._put, entry)

    def _put(self, entry: tuple[str, str]) -> None:
        if self._is_too_full:
            return
        self._drop_outdated(entry[0])
        self._waiting.append(entry)
        self._num_characters += len(entry[1])
        self._has_some.set()

    def _drop_outdated(self, kind: str) -> None:
        """Drop the message that a new one of this type replaces, unless it matters to a message that follows it."""
        if kind not in _OF_WHICH_THE_NEWEST_IS_ENOUGH:
            return
        for index in reversed(range(len(self._waiting))):
            other, text = self._waiting[index]
            if other == kind:
                del self._waiting[index]
                self._num_characters -= len(text)
                return
            if other not in _OF_WHICH_THE_NEWEST_IS_ENOUGH:
                return

    @property
    def _is_too_full(self) -> bool:
        return self._num_characters > _MAX_WAITING_CHARACTERS

    async def next(self) -> str:
        """Return the next message, as soon as there is one. Raises PageLags if far too much is waiting."""
        while not self._waiting:
            self._has_some.clear()
            await self._has_some.wait()
        if self._is_too_full:
            raise PageLags
        _, text = self._waiting.popleft()
        self._num_characters -= len(text)
        return text
