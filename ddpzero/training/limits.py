"""When a run is over, how much of it is done, and how long the rest takes."""

from __future__ import annotations

import math
import time

from ddpzero.replay import Episode
from ddpzero.run.ranks import Ranks
from ddpzero.settings import LearnerSettings
from ddpzero.system.signals import StopSignal
from ddpzero.training.counters import Counters


class Limits:
    """The limits of one run, and the signals that end it. Keeps counters.minutes.

    fraction: share of the run that is done, 0..1; seconds_left: None where nobody knows. Both as rank 0 told all ranks
    in the last `tell_time_left`.
    """

    def __init__(
        self, learner: LearnerSettings, counters: Counters, ranks: Ranks, stop: StopSignal
    ):
        self.fraction = 0.0
        self.seconds_left: float | None = None
        self._learner = learner
        self._counters = counters
        self._ranks = ranks
        self._stop = stop
        self._minutes_counted_at: float | None = None

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return self._counters.learner_step // self._learner.epoch_steps

    def reason_to_stop(self) -> str:
        """Why the run is over, or ""; all ranks together, equal on all of them."""
        signals = [signal for signal in self._ranks.gather(self._stop.reason) if signal]
        if signals:
            self._stop.set(signals[0])  # the scheduler may have told one node only
            return f"signal {signals[0]}; start the same command again to go on"
        reached = [limit for limit in self._ranks.gather(self._reached()) if limit]
        return reached[0] if reached else ""

    @property
    def wants_to_stop(self) -> bool:
        """Whether this rank knows a reason."""
        return self._stop.is_set or bool(self._reached())

    @property
    def is_stopped_by_signal(self) -> bool:
        """Whether a signal ends the run, before a limit of its own."""
        return self._stop.is_set

    @property
    def has_generated_enough(self) -> bool:
        """Whether a limit of samples or episodes is reached; equal on all ranks, as the counters are."""
        return bool(self._reached_count())

    def up_to_limit(
        self, episodes: list[Episode], new_samples: int, new_episodes: int
    ) -> list[Episode]:
        """Return the first of `episodes`, up to this rank's share of what is left to max_samples and max_episodes.

        new_samples, new_episodes: what this rank has taken in and the counters do not have yet. Between two votes a
        fast game brings hundreds of episodes: with all of them a run would go far beyond its limit.
        """
        samples_left = self._share_left(self._learner.max_samples, self._counters.samples)
        episodes_left = self._share_left(self._learner.max_episodes, self._counters.episodes)
        taken = 0
        for episode in episodes:
            if new_samples >= samples_left or new_episodes + taken >= episodes_left:
                break
            new_samples += episode.num_samples
            taken += 1
        return episodes[:taken]

    def _share_left(self, limit: int | None, count: int) -> float:
        return math.inf if limit is None else math.ceil((limit - count) / self._ranks.world_size)

    def fraction_done(self) -> float:
        """Share of the run that is done now, 0..1, equal on all ranks."""
        max_epochs = self._learner.max_epochs
        if max_epochs is None:
            return self.fraction
        steps = max_epochs * self._learner.epoch_steps
        return max(self.fraction, self._counters.learner_step / steps)

    def start_clock(self) -> None:
        """The first episode is here: from now on minutes count."""
        if self._minutes_counted_at is None:
            self._minutes_counted_at = time.monotonic()

    def share_minutes(self) -> None:
        """Rank 0's clock counts for all ranks."""
        self._count_minutes()
        self._counters.minutes = self._ranks.broadcast(self._counters.minutes)

    def tell_time_left(
        self, updates_per_second: float, samples_per_second: float, episodes_per_second: float
    ) -> None:
        """Rank 0 tells all ranks `fraction` and `seconds_left`."""
        fraction, seconds_left = time_left(
            self._learner,
            epoch=self._counters.learner_step / self._learner.epoch_steps,
            minutes=self._counters.minutes,
            samples=self._counters.samples,
            episodes=self._counters.episodes,
            epochs_per_second=updates_per_second / self._learner.epoch_steps,
            samples_per_second=samples_per_second,
            episodes_per_second=episodes_per_second,
        )
        self.fraction, self.seconds_left = self._ranks.broadcast((fraction or 0.0, seconds_left))

    def _reached(self) -> str:
        learner, counters = self._learner, self._counters
        if learner.max_epochs is not None and self.epoch >= learner.max_epochs:
            return f"learner.max_epochs={learner.max_epochs} is reached; raise it to go on"
        if reason := self._reached_count():
            return reason
        # One clock decides for all.
        if learner.max_minutes is not None and self._ranks.is_first:
            self._count_minutes()
            if counters.minutes >= learner.max_minutes:
                return f"learner.max_minutes={learner.max_minutes:g} is reached; raise it to go on"
        return ""

    def _reached_count(self) -> str:
        learner, counters = self._learner, self._counters
        if learner.schedule == "rounds" and counters.round_is_played:
            return ""  # what was played is trained on first
        for name, count in (("max_samples", counters.samples), ("max_episodes", counters.episodes)):
            limit = getattr(learner, name)
            if limit is not None and count >= limit:
                return f"learner.{name}={limit} is reached; raise it to go on"
        return ""

    def _count_minutes(self) -> None:
        if self._minutes_counted_at is None:
            return
        now = time.monotonic()
        self._counters.minutes += (now - self._minutes_counted_at) / 60
        self._minutes_counted_at = now


def time_left(
    learner: LearnerSettings,
    epoch: float,
    minutes: float,
    samples: float,
    episodes: float,
    epochs_per_second: float,
    samples_per_second: float,
    episodes_per_second: float,
) -> tuple[float | None, float | None]:
    """Return (share of the run that is done, seconds to its end) by the limit that will be reached first.

    epoch, minutes, samples, episodes: where the run stands. None: there is no limit; no rate yet to tell seconds by.
    """
    limits = (
        (learner.max_epochs, epoch, epochs_per_second),
        (learner.max_minutes, minutes, 1 / 60),
        (learner.max_samples, samples, samples_per_second),
        (learner.max_episodes, episodes, episodes_per_second),
    )
    fractions = [min(at / limit, 1.0) for limit, at, _ in limits if limit is not None]
    seconds = [
        max(limit - at, 0.0) / rate for limit, at, rate in limits if limit is not None and rate > 0
    ]
    return max(fractions, default=None), min(seconds, default=None)
