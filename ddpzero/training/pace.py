"""How many updates a rank makes before it meets the other ranks again. Called by the learner."""

from __future__ import annotations

# A vote of ranks on several nodes costs as much as the update of a small network, and up to this long may pass before
# the run hears of a signal, writes a row, or gives the arena its next match.
_SECONDS_BETWEEN_MEETINGS = 0.2


class Pace:
    """Fits as many updates between two meetings as the last ones were fast; it depends on this rank's clock."""

    def __init__(self) -> None:
        self.num_updates = 1

    def note(self, num_updates: int, seconds: float) -> None:
        """Learn from the updates between two meetings. At most twice as many follow: the next ones may be slower."""
        fitting = _SECONDS_BETWEEN_MEETINGS * num_updates / max(seconds, 1e-9)
        self.num_updates = max(1, min(int(fitting), 2 * self.num_updates))
