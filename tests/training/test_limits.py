"""Facts about the end of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ddpzero.replay import Episode
from ddpzero.run.ranks import Ranks
from ddpzero.settings import LearnerSettings
from ddpzero.system.signals import StopSignal
from ddpzero.training.counters import Counters
from ddpzero.training.limits import Limits, time_left


def rates(**per_second: float) -> dict[str, float]:
    """What time_left wants to know of rates; 0 where nothing is said."""
    return {
        f"{name}_per_second": per_second.get(name, 0.0)
        for name in ("epochs", "samples", "episodes")
    }


def test_the_limit_that_comes_first_gives_the_time_left() -> None:
    learner = LearnerSettings(max_epochs=100, max_minutes=5.0, max_samples=1_000_000)
    fraction, seconds = time_left(
        learner,
        epoch=10,
        minutes=4,
        samples=100,
        episodes=1,
        epochs_per_second=0.01,
        samples_per_second=10,
        episodes_per_second=1,
    )
    assert fraction == 0.8
    assert seconds == 60.0


def test_without_limits_or_rates_the_time_left_is_unknown() -> None:
    assert time_left(LearnerSettings(), 1, 1, 1, 1, 1, 1, 1) == (None, None)
    fraction, seconds = time_left(LearnerSettings(max_epochs=4), 1, 1, 1, 1, 0.0, 0.0, 0.0)
    assert (fraction, seconds) == (0.25, None)


def test_episodes_are_a_limit_like_the_others() -> None:
    learner = LearnerSettings(max_episodes=200)
    fraction, seconds = time_left(learner, 1, 1, 1, episodes=50, **rates(episodes=3.0))
    assert (fraction, seconds) == (0.25, 50.0)


def limits_of(ranks: Ranks, counters: Counters, **learner: Any) -> Limits:
    return Limits(LearnerSettings(**learner), counters, ranks, StopSignal())


def test_a_limit_of_episodes_or_samples_is_known_as_soon_as_they_are_counted(alone: Ranks) -> None:
    counters = Counters()
    limits = limits_of(alone, counters, max_episodes=100, max_samples=5000)
    assert not limits.has_generated_enough
    counters.episodes = 100
    assert limits.has_generated_enough
    counters.episodes, counters.samples = 0, 5000
    assert limits.has_generated_enough
    assert limits.reason_to_stop() == "learner.max_samples=5000 is reached; raise it to go on"


def test_a_round_that_is_played_is_trained_on_before_the_run_ends(alone: Ranks) -> None:
    counters = Counters(episodes=100, round_is_played=True)
    limits = limits_of(alone, counters, max_episodes=100, schedule="rounds")
    assert not limits.has_generated_enough and limits.reason_to_stop() == ""
    counters.round_is_played = False
    assert limits.has_generated_enough


def episodes_of(*num_samples: int) -> list[Episode]:
    return [Episode({"value": np.zeros(count)}, {}) for count in num_samples]


def test_episodes_beyond_the_limits_are_not_taken_in(alone: Ranks) -> None:
    episodes = episodes_of(10, 10, 10, 10)
    counters = Counters(episodes=97, samples=4_975)
    assert limits_of(alone, counters).up_to_limit(episodes, 0, 0) == episodes
    by_episodes = limits_of(alone, counters, max_episodes=100)
    assert by_episodes.up_to_limit(episodes, 0, 0) == episodes[:3]
    assert by_episodes.up_to_limit(episodes, 20, 2) == episodes[:1]
    by_samples = limits_of(alone, counters, max_samples=5_000)
    assert by_samples.up_to_limit(episodes, 0, 0) == episodes[:3]  # the third one crosses it
    assert by_samples.up_to_limit(episodes, 25, 2) == []


def test_ranks_share_what_is_left_to_a_limit(alone: Ranks) -> None:
    episodes = episodes_of(10, 10, 10, 10)
    limits = limits_of(replace(alone, world_size=2), Counters(episodes=97), max_episodes=100)
    assert limits.up_to_limit(episodes, 0, 0) == episodes[:2]
