"""When checkpoints are due."""

from __future__ import annotations

import pytest

from ddpzero.settings import CheckpointSettings
from ddpzero.system.errors import UserError
from ddpzero.training import checkpoint_schedule as schedule_module
from ddpzero.training.checkpoint_schedule import CheckpointSchedule


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    clock = HandClock()
    monkeypatch.setattr(schedule_module.time, "monotonic", clock)
    return clock


def save(
    schedule: CheckpointSchedule, clock: HandClock, seconds: float, works: bool = True
) -> None:
    clock.seconds += seconds
    schedule.note_save(seconds, works)


def test_the_first_epoch_has_a_checkpoint(clock: HandClock) -> None:
    assert CheckpointSchedule(CheckpointSettings()).is_due_after_epoch(1)
    assert not CheckpointSchedule(CheckpointSettings(interval_epochs=2)).is_due_after_epoch(1)


def test_by_default_saving_takes_two_percent_of_the_time(clock: HandClock) -> None:
    schedule = CheckpointSchedule(CheckpointSettings())
    saving_seconds, start = 0.0, clock.seconds
    for epoch in range(1, 1000):
        clock.seconds += 1.0
        if schedule.is_due_after_epoch(epoch):
            save(schedule, clock, 0.2)
            saving_seconds += 0.2
    assert 0.015 < saving_seconds / (clock.seconds - start) <= 0.02


def test_minutes_between_checkpoints_can_be_chosen(clock: HandClock) -> None:
    schedule = CheckpointSchedule(CheckpointSettings(interval_minutes=2))
    save(schedule, clock, 30.0)
    clock.seconds += 119
    assert not schedule.is_due_after_epoch(7)
    clock.seconds += 1
    assert schedule.is_due_after_epoch(8)
    every_epoch = CheckpointSchedule(CheckpointSettings(interval_minutes=0))
    save(every_epoch, clock, 30.0)
    assert every_epoch.is_due_after_epoch(9)


def test_a_failed_save_is_tried_again_after_a_while(clock: HandClock) -> None:
    schedule = CheckpointSchedule(CheckpointSettings(interval_minutes=0))
    save(schedule, clock, 0.01, works=False)
    assert not schedule.is_due_after_epoch(2)
    clock.seconds += 10
    assert schedule.is_due_after_epoch(3)


def test_a_long_epoch_is_interrupted_by_a_checkpoint(clock: HandClock) -> None:
    schedule = CheckpointSchedule(CheckpointSettings())
    clock.seconds += 299
    assert not schedule.is_overdue
    clock.seconds += 1
    assert schedule.is_overdue
    save(schedule, clock, 10.0)
    clock.seconds += 499
    assert not schedule.is_overdue
    clock.seconds += 1
    assert schedule.is_overdue


def test_who_counts_epochs_gets_no_checkpoints_between_them(clock: HandClock) -> None:
    schedule = CheckpointSchedule(CheckpointSettings(interval_epochs=10))
    clock.seconds += 1e6
    assert not schedule.is_overdue


def test_negative_minutes_are_refused() -> None:
    with pytest.raises(UserError, match=r"checkpoint.interval_minutes=-1 must be 0 or more"):
        CheckpointSettings(interval_minutes=-1)


def test_a_model_is_due_once_at_each_minute_and_not_again_after_a_resume() -> None:
    schedule = CheckpointSchedule(CheckpointSettings(at_minutes=(1, 2.5)))
    assert [schedule.is_model_due(minutes) for minutes in (0.99, 1.0)] == [False, True]
    schedule.note_minute(1.01)
    assert [schedule.is_model_due(minutes) for minutes in (1.5, 2.5, 9.0)] == [False, True, True]
    resumed = CheckpointSchedule(CheckpointSettings(at_minutes=(1, 2.5)))
    resumed.note_minute(2.6)
    assert not resumed.is_model_due(9.0)


def test_a_model_at_minute_0_is_refused() -> None:
    with pytest.raises(UserError, match=r"checkpoint.at_minutes=\[0\]: 0 must be positive"):
        CheckpointSettings(at_minutes=(0,))
