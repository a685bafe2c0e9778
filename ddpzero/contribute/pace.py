"""How fast a contributor's games are sent, measured while some wait for it. Used by run.py from one thread."""

from __future__ import annotations

import time
from collections.abc import Callable

# Twice as old, half the weight.
_HALF_LIFE_SECONDS = 60.0


class SendingPace:
    """clock: returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._games = self._seconds = 0.0
        self._was_sending = False
        self._noted_at = self._sent_at = clock()

    def note(self, num_sent: int, is_sending: bool) -> None:
        """Note how many games the server has answered since the last call, and whether others are being sent now."""
        now = self._clock()
        if self._was_sending or num_sent:
            seconds = now - self._noted_at
            kept = 0.5 ** (seconds / _HALF_LIFE_SECONDS)
            self._games = self._games * kept + num_sent
            self._seconds = self._seconds * kept + seconds
        if num_sent:
            self._sent_at = now
        self._noted_at, self._was_sending = now, is_sending

    @property
    def seconds_since_answer(self) -> float:
        """Since the server has last answered an upload, or since the start."""
        return self._clock() - self._sent_at

    def seconds_for(self, num_games: int) -> float:
        """Return how long it takes to send games; 0 if none was sent yet."""
        return num_games * self._seconds / self._games if self._games else 0.0
