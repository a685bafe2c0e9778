"""Facts about the signs of life of an arena worker."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from ddpzero.arena import signs_of_life
from ddpzero.arena.signs_of_life import SignsOfLife


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs_of_life, "_INTERVAL_SECONDS", 0.01)


def calculate_until(is_over: Callable[[], bool]) -> None:
    while not is_over():
        sum(range(1000))


def test_a_long_calculation_shows_signs_of_life_without_a_call_of_ours() -> None:
    signs: list[int] = []
    with SignsOfLife(lambda: signs.append(1)):
        calculate_until(lambda: len(signs) >= 3)
    num_signs = len(signs)
    end = time.process_time() + 0.1
    calculate_until(lambda: time.process_time() > end)
    assert len(signs) == num_signs


def test_a_worker_that_waits_is_silent() -> None:
    signs: list[int] = []
    with SignsOfLife(lambda: signs.append(1)):
        time.sleep(0.2)
    assert signs == []


def test_an_endless_calculation_falls_silent_without_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signs_of_life, "_MOST_SECONDS_WITHOUT_PROGRESS", 0.0)
    signs: list[int] = []
    end = time.process_time() + 0.1
    with SignsOfLife(lambda: signs.append(1)):
        calculate_until(lambda: time.process_time() > end)
    assert signs == []
