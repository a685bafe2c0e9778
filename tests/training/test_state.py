"""Facts about the end of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ddpzero.replay import Episode
from ddpzero.run.ranks import Ranks
from ddpzero.settings import LearnerSettings
from ddpzero.system.signals import StopSignal
from ddpzero.training import state as state_module
from ddpzero.training.counters import Counters
from ddpzero.training.limits import time_left
from ddpzero.training.state import RunState


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


def state_of(ranks: Ranks, counters: Counters, **learner: Any) -> RunState:
    state = RunState(LearnerSettings(**learner), ranks, StopSignal())
    state.go_on_from(counters)
    return state


def test_a_limit_of_episodes_or_samples_is_known_as_soon_as_they_are_counted(alone: Ranks) -> None:
    counters = Counters()
    state = state_of(alone, counters, max_episodes=100, max_samples=5000)
    assert not state.has_generated_enough
    counters.episodes = 100
    assert state.has_generated_enough
    counters.episodes, counters.samples = 0, 5000
    assert state.has_generated_enough
    reason = state.agree_on_reason_to_stop()
    assert reason == "learner.max_samples=5000 is reached; raise it to go on"


def test_a_round_that_is_played_is_trained_on_before_the_run_ends(alone: Ranks) -> None:
    counters = Counters(episodes=100, round_is_played=True)
    state = state_of(alone, counters, max_episodes=100, schedule="rounds")
    assert not state.has_generated_enough and state.agree_on_reason_to_stop() == ""
    state.require_new_round()
    assert state.has_generated_enough


def episodes_of(*num_samples: int) -> list[Episode]:
    return [Episode({"value": np.zeros(count)}, {}) for count in num_samples]


def test_episodes_beyond_the_limits_are_not_inserted(alone: Ranks) -> None:
    episodes = episodes_of(10, 10, 10, 10)
    counters = Counters(episodes=97, samples=4_975)
    assert state_of(alone, counters).up_to_limit(episodes) == episodes
    by_episodes = state_of(alone, counters, max_episodes=100)
    assert by_episodes.up_to_limit(episodes) == episodes[:3]
    for episode in episodes[:2]:
        by_episodes.count_episode(episode)
    assert by_episodes.up_to_limit(episodes) == episodes[:1]
    by_samples = state_of(alone, counters, max_samples=5_000)
    assert by_samples.up_to_limit(episodes) == episodes[:3]  # the third one crosses it
    by_samples.count_episode(episodes_of(25)[0])
    assert by_samples.up_to_limit(episodes) == []


def test_ranks_share_what_is_left_to_a_limit(alone: Ranks) -> None:
    episodes = episodes_of(10, 10, 10, 10)
    state = state_of(replace(alone, world_size=2), Counters(episodes=97), max_episodes=100)
    assert state.up_to_limit(episodes) == episodes[:2]


def test_what_a_rank_inserted_is_in_the_counters_after_the_next_vote(alone: Ranks) -> None:
    state = state_of(alone, Counters(episodes=5, samples=50))
    state.count_episode(episodes_of(7)[0])
    assert (state.num_episodes, state.num_samples) == (6, 57)
    assert (state.counters.episodes, state.counters.samples) == (5, 50)
    assert state.vote(True, False, allowed_updates=3) == ([True, False], 3)
    assert (state.counters.episodes, state.counters.samples) == (6, 57)
    assert (state.new_episodes, state.new_samples) == (0, 0)


def test_looking_at_the_clock_changes_no_counter(
    alone: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(state_module.time, "monotonic", lambda: now[0])
    state = state_of(alone, Counters(minutes=2.0), max_minutes=3.0)
    now[0] += 600
    assert state.minutes == 2.0  # the first episode starts the clock
    state.count_episode(episodes_of(1)[0])
    now[0] += 59
    assert not state.wants_to_stop
    now[0] += 1
    assert state.wants_to_stop and state.minutes == 3.0
    assert state.counters.minutes == 2.0
    state.share_counters()
    assert (state.counters.minutes, state.minutes) == (3.0, 3.0)
