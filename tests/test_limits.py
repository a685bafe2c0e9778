"""Facts about the end of a run."""

from __future__ import annotations

from ddpzero.limits import time_left
from ddpzero.settings import LearnerSettings


def test_the_limit_that_comes_first_gives_the_time_left() -> None:
    learner = LearnerSettings(max_epochs=100, max_minutes=5.0, max_samples=1_000_000)
    fraction, seconds = time_left(
        learner, epoch=10, minutes=4, samples=100, epochs_per_second=0.01, samples_per_second=10
    )
    assert fraction == 0.8
    assert seconds == 60.0


def test_without_limits_or_rates_the_time_left_is_unknown() -> None:
    assert time_left(LearnerSettings(), 1, 1, 1, 1, 1) == (None, None)
    fraction, seconds = time_left(LearnerSettings(max_epochs=4), 1, 1, 1, 0.0, 0.0)
    assert (fraction, seconds) == (0.25, None)
