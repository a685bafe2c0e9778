"""Facts about what a manager says with INFO."""

from __future__ import annotations

import pytest

from ddpzero.play.clock import TimeControl
from ddpzero.play.protocols.gomocup.info import UNLIMITED_MS, Info


def informed(*lines):
    info = Info()
    for line in lines:
        info.take(line)
    return info


@pytest.mark.parametrize(
    ("lines", "move_seconds", "seconds_left"),
    [
        ((), None, None),
        (("timeout_turn 300",), 0.3, None),
        # As fast as possible.
        (("timeout_turn 0",), 0.06, None),
        (("timeout_turn 300", "timeout_match 60000"), 0.3, 60.0),
        (("timeout_turn 300", "timeout_match 0"), 0.3, None),
        (("timeout_match 60000", "time_left 1500"), None, 1.5),
        (("timeout_match 60000", "time_left -20"), None, -0.02),
        (("timeout_turn 5000", f"time_left {UNLIMITED_MS}"), 5.0, None),
        (("TIMEOUT_TURN  250 ",), 0.25, None),
    ],
)
def test_times_limit_a_move(lines, move_seconds, seconds_left):
    control, left = informed(*lines).time_control(TimeControl())
    assert (control.move_seconds, left) == (move_seconds, seconds_left)
    assert control.game_seconds == (None if left is None else max(0.0, left))


def test_the_shorter_time_counts():
    own = TimeControl(move_seconds=1.0)
    assert informed("timeout_turn 300").time_control(own)[0].move_seconds == 0.3
    assert informed("timeout_turn 3000").time_control(own)[0].move_seconds == 1.0
    assert informed().time_control(own)[0].move_seconds == 1.0


def test_the_time_of_a_match_runs_down_until_the_manager_says_what_is_left():
    info = informed("timeout_match 10000")
    info.use(2.5)
    assert info.time_control(TimeControl())[1] == 7.5
    info.take("time_left 7000")
    info.use(1.0)
    assert info.time_control(TimeControl())[1] == 6.0
    info.begin_match()
    assert info.time_control(TimeControl())[1] == 10.0
    unlimited = informed("timeout_turn 100")
    unlimited.use(5.0)
    assert unlimited.time_control(TimeControl())[1] is None


@pytest.mark.parametrize(("line", "limit"), [("max_memory 0", None), ("max_memory 350", 350)])
def test_a_limit_of_memory_of_0_is_none(line, limit):
    assert informed(line).memory_bytes == limit


@pytest.mark.parametrize(
    "line", ["evaluate 3,4", "folder /tmp/a b", "game_type 1", "x", "", "rules 7"]
)
def test_what_has_no_meaning_here_is_ignored(line):
    info = informed(line)
    assert info.problem is None and not info.values


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("rule 2", "INFO rule 2 is not supported"),
        ("rule 3", "INFO rule 3 is not supported"),
        ("rule 4", "INFO rule 4 is not supported"),
        ("rule 9", "INFO rule 9 is not supported"),
        ("timeout_turn soon", "INFO timeout_turn soon: not a whole number"),
        ("timeout_turn", "INFO timeout_turn : not a whole number"),
        ("max_memory -1", "INFO max_memory -1 is negative"),
    ],
)
def test_what_cannot_be_done_is_a_problem_until_it_is_said_anew(line, problem):
    info = informed(line)
    assert info.problem.startswith(problem)
    info.take(f"{line.split()[0]} 1")
    assert info.problem is None


def test_rules():
    assert not informed().is_exactly_five and not informed("rule 0").is_exactly_five
    assert informed("rule 1").is_exactly_five
