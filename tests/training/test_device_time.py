"""The time that a device is at updates."""

from __future__ import annotations

import pytest
import torch

from ddpzero.run.ranks import Ranks
from ddpzero.training.device_time import DeviceTime, device_time_of
from ddpzero.training.metrics import CORE_METRICS, IntervalMetrics, PhaseClock
from tests.waiting import wait_for


class Queue:
    """A device that passes marks when it is told to. seconds: its clock."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.events: list[Mark] = []
        self.recorded: list[Mark] = []

    def make_event(self) -> Mark:
        self.events.append(Mark(self))
        return self.events[-1]

    def work(self, seconds: float) -> None:
        """Pass the next mark after so long."""
        self.seconds += seconds
        self.recorded.pop(0).passed_at = self.seconds


class Mark:
    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.passed_at: float | None = None

    def record(self) -> None:
        self.passed_at = None
        self._queue.recorded.append(self)

    def query(self) -> bool:
        return self.passed_at is not None

    def elapsed_time(self, end_event: Mark) -> float:
        assert self.passed_at is not None and end_event.passed_at is not None, "waits for it"
        return 1000 * (end_event.passed_at - self.passed_at)


def test_the_time_of_a_gpu_is_read_once_it_has_passed_and_never_waited_for() -> None:
    queue = Queue()
    device_time = DeviceTime(queue.make_event)
    for _ in range(3):
        with device_time():
            pass
    assert device_time.take() == 0
    queue.work(5.0)
    queue.work(2.0)
    queue.work(1.0)
    assert device_time.take() == pytest.approx(2.0)
    queue.work(3.0)
    queue.work(0.5)
    queue.work(0.25)
    assert device_time.take() == pytest.approx(3.25)
    assert device_time.take() == 0


def test_marks_are_used_again() -> None:
    queue = Queue()
    device_time = DeviceTime(queue.make_event)
    for _ in range(10):
        with device_time():
            pass
        queue.work(1.0)
        queue.work(1.0)
    assert device_time.take() == pytest.approx(10.0)
    assert len(queue.events) <= 4


def test_a_block_that_fails_counts_for_nothing() -> None:
    queue = Queue()
    device_time = DeviceTime(queue.make_event)
    with pytest.raises(KeyError), device_time():
        raise KeyError
    with device_time():
        pass
    while queue.recorded:
        queue.work(1.0)
    assert device_time.take() == pytest.approx(1.0)


def test_a_row_has_the_share_of_the_learners_device_also_on_a_cpu(alone: Ranks) -> None:
    metrics = IntervalMetrics(alone, PhaseClock(), CORE_METRICS)
    assert "learner/busy" not in metrics.collect()
    with metrics.device_time():
        wait_for(lambda: metrics.seconds > 0.05, 10)
    busy = metrics.collect()["learner/busy"]
    assert 0 < busy <= 1
    assert metrics.collect()["learner/busy"] == 0


@pytest.mark.gpu
def test_a_gpu_is_busy_while_it_multiplies() -> None:
    device = torch.device("cuda")
    matrix = torch.ones(4096, 4096, device=device)
    device_time = device_time_of(device)
    with device_time():
        for _ in range(20):
            matrix = matrix @ matrix
    torch.cuda.synchronize()
    assert device_time.take() > 1e-3
