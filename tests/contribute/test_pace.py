"""How long a contributor thinks that sending takes."""

from __future__ import annotations

import pytest

from ddpzero.contribute.pace import SendingPace


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_only_the_time_in_which_games_are_sent_counts():
    clock = Clock()
    pace = SendingPace(clock)
    assert pace.seconds_for(1000) == 0
    for _ in range(20):
        pace.note(0, is_sending=True)
        clock.seconds += 10
        pace.note(50, is_sending=False)
        # Nothing waits.
        clock.seconds += 1000
    assert pace.seconds_for(100) == pytest.approx(20)
    assert pace.seconds_since_answer == 1000


def test_it_follows_a_server_that_becomes_slower_within_minutes():
    clock = Clock()
    pace = SendingPace(clock)
    for num_sent in [100] * 300 + [10] * 300:
        pace.note(num_sent, is_sending=True)
        clock.seconds += 1
    assert 0.07 < pace.seconds_for(1) < 0.1


def test_after_hours_without_an_answer_it_is_right_again_at_once():
    clock = Clock()
    pace = SendingPace(clock)
    pace.note(0, is_sending=True)
    for _ in range(20_000):
        clock.seconds += 1
        pace.note(0, is_sending=True)
    assert pace.seconds_for(1000) == 0
    for _ in range(60):
        clock.seconds += 1
        pace.note(100, is_sending=True)
    assert pace.seconds_for(100) < 4
