"""Decides when a checkpoint is due: saving should take little time, and a killed run should lose little work."""

from __future__ import annotations

import time

from ddpzero.settings import CheckpointSettings

# With checkpoint.interval_minutes=null, seconds of training between two saves per second of saving.
_SECONDS_BETWEEN_PER_SECOND_OF_SAVING = 50.0
# The shortest time before a failed save is retried.
_RETRY_SECONDS = 10.0
# A checkpoint interrupts an epoch that lasts longer than this.
_LONGEST_GAP_SECONDS = 300.0


class CheckpointSchedule:
    """Decides by the clock of this process; all ranks must follow rank 0's decision.

    Saving a checkpoint does not change what a run learns.
    """

    def __init__(self, settings: CheckpointSettings) -> None:
        self._settings = settings
        self._last_end: float | None = None  # time.monotonic of the last save
        self._started = time.monotonic()
        self._gap_seconds = 0.0
        self._last_minute = 0.0

    def is_model_due(self, minutes: float) -> bool:
        """Return whether to keep the weights as a model. minutes: training time of the run so far."""
        return any(self._last_minute < minute <= minutes for minute in self._settings.at_minutes)

    def note_minute(self, minutes: float) -> None:
        """Record that the models due up to this minute are kept, or that the run resumes there."""
        self._last_minute = minutes

    def is_due_after_epoch(self, epoch: int) -> bool:
        """Return whether to save at the end of this epoch (counted from 1)."""
        if epoch % self._settings.interval_epochs != 0:
            return False
        return self._last_end is None or time.monotonic() - self._last_end >= self._gap_seconds

    @property
    def is_overdue(self) -> bool:
        """Whether to save in the middle of an epoch."""
        settings = self._settings
        if settings.interval_minutes is None and settings.interval_epochs > 1:
            # The user counts epochs.
            return False
        since = self._started if self._last_end is None else self._last_end
        return time.monotonic() - since >= max(self._gap_seconds, _LONGEST_GAP_SECONDS)

    def note_save(self, seconds: float, succeeded: bool) -> None:
        """Record that a save has just ended. seconds: how long the learner waited for it."""
        minutes = self._settings.interval_minutes
        adaptive_seconds = _SECONDS_BETWEEN_PER_SECOND_OF_SAVING * seconds
        self._gap_seconds = adaptive_seconds if minutes is None else 60 * minutes
        if not succeeded:
            self._gap_seconds = max(adaptive_seconds, _RETRY_SECONDS)
        self._last_end = time.monotonic()
