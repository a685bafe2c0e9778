"""Facts about the time of a side."""

from __future__ import annotations

import pytest

from ddpzero.play import clock as clock_module
from ddpzero.play.clock import Allowance, Clock, Lag, TimeControl, moves_to_come
from ddpzero.system.errors import UserError


@pytest.fixture
def now(monkeypatch):
    """A clock on the wall that the test moves: now[0]."""
    seconds = [100.0]
    monkeypatch.setattr(clock_module.time, "monotonic", lambda: seconds[0])
    return seconds


def play_until_expired(control, now, hardest=False, num_moves=80):
    """Return the seconds of moves that take what they may, of a game of 40 moves as the player expects."""
    clock, used = Clock(control), []
    for move in range(num_moves):
        allowance = clock.allowance(max(8, 40 - move))
        seconds = allowance.most if hardest else allowance.usual
        clock.start()
        now[0] += seconds + 0.002  # of sending the move
        assert not clock.has_expired
        clock.stop()
        used.append(seconds)
    return used


def test_without_a_time_there_is_no_limit():
    assert TimeControl().is_unlimited
    assert Clock(TimeControl()).allowance(30) == Allowance(None, None)


def test_a_time_per_move_is_used_but_for_the_lag(now):
    allowance = Clock(TimeControl(move_seconds=2.0)).allowance(30)
    assert allowance.usual == allowance.most and 1.9 < allowance.usual < 2.0
    # However short it is.
    assert Clock(TimeControl(move_seconds=0.01)).allowance(30).most == 0.0


@pytest.mark.parametrize("hardest", [False, True])
@pytest.mark.parametrize(
    "control",
    [
        TimeControl(game_seconds=60.0),
        TimeControl(game_seconds=10.0, increment_seconds=0.5),
        TimeControl(game_seconds=0.0, period_seconds=10.0, period_moves=5),
        TimeControl(game_seconds=30.0, period_seconds=5.0, period_moves=1),
        TimeControl(game_seconds=5.0, period_seconds=20.0, period_moves=10),
        TimeControl(move_seconds=3.0, game_seconds=60.0),
    ],
)
def test_the_time_is_never_up(control, now, hardest):
    used = play_until_expired(control, now, hardest)
    if control.game_seconds:
        assert sum(used) > 0.5 * control.game_seconds


def test_most_of_the_time_is_used_in_a_game_of_usual_length(now):
    assert sum(play_until_expired(TimeControl(game_seconds=60.0), now, num_moves=40)) > 45


@pytest.mark.parametrize(("move_seconds", "least"), [(0.3, 0.25), (0.1, 0.06), (0.05, 0.015)])
def test_most_of_a_short_turn_is_for_thinking(now, move_seconds, least):
    usual = Clock(TimeControl(move_seconds=move_seconds)).allowance(30).usual
    assert least < usual < move_seconds - 0.03


def play_turns(clock, now, late, num_moves=1):
    """Return the seconds that moves plan for themselves, each of which ends so much later."""
    planned = []
    for _ in range(num_moves):
        clock.start()
        planned.append(clock.allowance(30).usual)
        now[0] += planned[-1] + late
        clock.stop()
    return planned


def test_one_late_move_costs_the_next_ones_nothing(now):
    clock = Clock(TimeControl(move_seconds=0.3))
    (usual,) = play_turns(clock, now, 0.0)
    play_turns(clock, now, 0.9)
    assert play_turns(clock, now, 0.0, 5) == pytest.approx([usual] * 5)


def test_moves_that_are_late_again_and_again_end_earlier_but_are_not_without_search(now):
    clock = Clock(TimeControl(move_seconds=0.3))
    usual, *_ = play_turns(clock, now, 0.02, 8)
    (earlier,) = play_turns(clock, now, 0.0)
    assert earlier == pytest.approx(usual - 0.03)
    play_turns(clock, now, 5.0, 8)
    (earlier,) = play_turns(clock, now, 0.0)
    assert earlier == pytest.approx(usual - 0.1)
    # Nothing is held against it for good.
    assert play_turns(clock, now, 0.0, 21)[-1] == pytest.approx(usual)


@pytest.mark.parametrize(
    ("num_cells", "seconds", "increment", "num_moves", "least_used"),
    [
        (81, 2.0, 0.0, 16, 0.5),
        (81, 10.0, 0.0, 16, 0.5),
        (81, 1.0, 0.1, 16, 1.2),
        (225, 10.0, 0.0, 30, 0.45),
        (400, 18.0, 0.0, 40, 0.4),
        # Go, whose games last until the board is full.
        (81, 10.0, 0.0, 30, 0.8),
        (361, 60.0, 0.0, 120, 0.8),
    ],
)
def test_a_game_uses_its_time(now, num_cells, seconds, increment, num_moves, least_used):
    """least_used: of the time at the start. All moves of usual games search."""
    clock = Clock(TimeControl(game_seconds=seconds, increment_seconds=increment))
    left, usual = seconds, []
    for move in range(num_moves):
        clock.start()
        usual.append(clock.allowance(moves_to_come(num_cells, 2 * move)).usual)
        now[0] += usual[-1] + 0.001
        clock.stop()
        left = clock.seconds_left
    assert min(usual) > 0.02
    assert seconds + num_moves * increment - left > least_used * seconds


@pytest.mark.parametrize("sending", [0.005, 0.03, 0.06])
def test_a_game_of_many_moves_is_not_lost_on_what_sending_takes(now, sending):
    clock = Clock(TimeControl(game_seconds=8.0))
    for move in range(110):
        clock.start()
        now[0] += clock.allowance(moves_to_come(225, 2 * move)).usual + sending
        assert not clock.has_expired
        clock.stop()


def test_a_lag_counts_up_to_a_third_of_a_turn():
    lag = Lag(0.01)
    for _ in range(3):
        lag.learn(10.0)
    assert lag.of_move(0.3) == pytest.approx(0.11)


def test_in_overtime_the_moves_of_a_period_share_its_time(now):
    clock = Clock(TimeControl(game_seconds=1.0, period_seconds=10.0, period_moves=5))
    clock.start()
    now[0] += 3.0
    clock.stop()
    # Two of the three seconds are of the first period, and the move began before it.
    assert (clock.seconds_left, clock.moves_left) == (8.0, 5)
    for _ in range(5):
        clock.start()
        now[0] += 1.0
        clock.stop()
    assert (clock.seconds_left, clock.moves_left) == (10.0, 5)


def test_another_clock_is_believed(now):
    clock = Clock(TimeControl(game_seconds=60.0))
    clock.set_left(10.0)
    assert clock.allowance(10).usual == pytest.approx(9.44 / 12, abs=0.01)
    clock.set_left(10.0, 2)
    assert clock.allowance(10).usual == pytest.approx(4.87, abs=0.01)
    clock.set_left(-1.0)
    assert clock.has_expired and clock.allowance(10).most == 0.0


def test_a_game_is_expected_to_go_on():
    assert moves_to_come(81, 0) > moves_to_come(81, 40) >= moves_to_come(81, 200) == 12


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"move_seconds": -1.0}, "move_seconds=-1.0 is no time"),
        ({"game_seconds": float("nan")}, "game_seconds=nan is no time"),
        ({"increment_seconds": 1.0}, "need a time for the game|needs a time for the game"),
        ({"game_seconds": 1.0, "period_moves": 3}, "both or none"),
    ],
)
def test_wrong_times_are_told(wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        TimeControl(**wrong)
