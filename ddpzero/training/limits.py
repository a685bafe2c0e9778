"""The limits that end a run, and the time that is left: pure functions of the run's progress."""

from __future__ import annotations

import math

from ddpzero.replay import Episode
from ddpzero.settings import LearnerSettings
from ddpzero.training.counters import Counters


def reached_limit(learner: LearnerSettings, counters: Counters, minutes: float) -> str:
    """Return a sentence about the limit that ends the run; "" if none is reached.

    minutes: training time so far; counters.minutes is that of the last row.
    """
    epoch = counters.learner_step // learner.epoch_steps
    if learner.max_epochs is not None and epoch >= learner.max_epochs:
        return f"learner.max_epochs={learner.max_epochs} is reached; raise it to go on"
    if reason := reached_amount(learner, counters):
        return reason
    if learner.max_minutes is not None and minutes >= learner.max_minutes:
        return f"learner.max_minutes={learner.max_minutes:g} is reached; raise it to go on"
    return ""


def reached_amount(learner: LearnerSettings, counters: Counters) -> str:
    """Return a sentence about the limit of samples or episodes that is reached; "" if none is."""
    if learner.schedule == "rounds" and counters.round_is_played:
        # The episodes of a round are trained on before the run ends.
        return ""
    for name, count in (("max_samples", counters.samples), ("max_episodes", counters.episodes)):
        limit = getattr(learner, name)
        if limit is not None and count >= limit:
            return f"learner.{name}={limit} is reached; raise it to go on"
    return ""


def up_to(episodes: list[Episode], samples_left: float, episodes_left: float) -> list[Episode]:
    """Return the first of `episodes`, up to the limits; the last one may exceed samples_left."""
    num_taken = 0
    for episode in episodes:
        if samples_left <= 0 or num_taken >= episodes_left:
            break
        samples_left -= episode.num_samples
        num_taken += 1
    return episodes[:num_taken]


def share_left(limit: int | None, count: int, world_size: int) -> float:
    """Return one rank's share, rounded up, of what remains to a limit for all ranks; infinity without a limit."""
    return math.inf if limit is None else math.ceil((limit - count) / world_size)


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
    """Return (share of the run that is done, seconds to its end) for the limit that will be reached first.

    epoch, minutes, samples, episodes: the run's progress. The share is None without a limit, the seconds also while
    there is no rate.
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
