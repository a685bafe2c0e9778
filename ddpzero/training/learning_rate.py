"""The learning rate of an update, a pure function with the same result on every rank."""

from __future__ import annotations

import math

from ddpzero.settings import LearnerSettings


def learning_rate(learner: LearnerSettings, learner_step: int, fraction: float) -> float:
    """Return the rate: linear warm-up, then constant or a cosine down to final_learning_rate_fraction at the run's end.

    fraction: share of the run that is done, 0..1, equal on all ranks.
    """
    warmup = min(1.0, (learner_step + 1) / (learner.warmup_steps + 1))
    if learner.learning_rate_schedule == "constant":
        return learner.learning_rate * warmup
    end = learner.final_learning_rate_fraction
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, fraction)))
    return learner.learning_rate * warmup * (end + (1.0 - end) * cosine)
