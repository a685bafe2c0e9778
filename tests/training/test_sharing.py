"""Evaluator and learner on one device: samples_per_insert decides how much of it each has, however they take turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ddpzero.replay import SampleBalance

MIN_SAMPLES, BATCH_SIZE, EPISODE = 500, 64, 30


@dataclass
class Side:
    """What wants the device. unit_seconds: of the device, for a sample or for an update."""

    unit_seconds: float
    num_units: int = 0
    seconds: float = 0.0
    since_unit: float = 0.0

    def work(self, seconds: float) -> None:
        """Have the device for so long."""
        self.seconds += seconds
        self.since_unit += seconds
        while self.since_unit >= self.unit_seconds:
            self.since_unit -= self.unit_seconds
            self.num_units += 1


# Chooses one of those that want the device: which of them had it last.
Turns = Callable[[list[Side], Side], Side]


def in_turn(wanting: list[Side], last: Side) -> Side:
    """As a driver with two processes: each has it for a slice."""
    return next((side for side in wanting if side is not last), wanting[0])


def evaluator_first(wanting: list[Side], last: Side) -> Side:
    return wanting[0]


def learner_first(wanting: list[Side], last: Side) -> Side:
    return wanting[-1]


def run(
    balance: SampleBalance, sample_seconds: float, update_seconds: float, turns: Turns
) -> tuple[Side, Side, float]:
    """Run a device for 600 s in slices of 2 ms; return evaluator, learner, and for how long it had nothing to do."""
    evaluator, learner = Side(sample_seconds), Side(update_seconds)
    last, idle, inserted, slice_seconds = learner, 0.0, 0, 0.002
    for _ in range(300_000):
        sampled = learner.num_units * BATCH_SIZE
        # Whole episodes are inserted; what is finished beyond them waits, and its actors with it.
        if balance.allowed_inserts(inserted, sampled) > 0:
            inserted += (evaluator.num_units - inserted) // EPISODE * EPISODE
        wanting = []
        if evaluator.num_units - inserted < 2 * EPISODE:
            wanting.append(evaluator)
        if balance.allowed_steps(inserted, sampled) > 0:
            wanting.append(learner)
        if not wanting:
            idle += slice_seconds
            continue
        last = turns(wanting, last)
        last.work(slice_seconds)
    return evaluator, learner, idle


@pytest.mark.parametrize("turns", [in_turn, evaluator_first, learner_first])
@pytest.mark.parametrize(
    ("samples_per_insert", "sample_seconds", "update_seconds"),
    # The learner's share is then 0.80, 0.11 and 0.5.
    [(4.0, 0.001, 0.064), (1.0, 0.004, 0.032), (8.0, 0.002, 0.016)],
)
def test_the_share_of_each_follows_from_samples_per_insert_and_nothing_is_left_idle(
    turns: Turns, samples_per_insert: float, sample_seconds: float, update_seconds: float
) -> None:
    balance = SampleBalance(samples_per_insert, MIN_SAMPLES, BATCH_SIZE)
    evaluator, learner, idle = run(balance, sample_seconds, update_seconds, turns)
    # For each sample, the learner makes this many updates.
    updates = samples_per_insert / BATCH_SIZE
    expected = updates * update_seconds / (updates * update_seconds + sample_seconds)
    assert idle == 0
    assert learner.seconds / (learner.seconds + evaluator.seconds) == pytest.approx(
        expected, abs=0.01
    )
    assert learner.num_units == pytest.approx(
        updates * (evaluator.num_units - MIN_SAMPLES), rel=0.02, abs=balance.tolerance_steps + 1
    )


def test_without_that_balance_the_turns_would_decide() -> None:
    """The device alone gives each side half of it, or one side all of it."""
    endless = SampleBalance(4.0, MIN_SAMPLES, BATCH_SIZE, tolerance_steps=10**9)
    shares = []
    for turns in (in_turn, evaluator_first):
        evaluator, learner, _ = run(endless, 0.001, 0.064, turns)
        shares.append(learner.seconds / (learner.seconds + evaluator.seconds))
    assert shares == pytest.approx([0.5, 0.0], abs=0.01)
