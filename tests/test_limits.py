"""Facts about the end of a run."""

from __future__ import annotations

from ddpzero.limits import time_left
from ddpzero.settings import LearnerSettings


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
