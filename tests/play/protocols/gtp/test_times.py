"""Facts about time as GTP tells it."""

from __future__ import annotations

import pytest

from ddpzero.games import load_game
from ddpzero.play.clock import TimeControl
from ddpzero.play.protocols.gtp import session as session_module
from ddpzero.play.protocols.gtp.lines import Refused
from ddpzero.play.protocols.gtp.times import gtp_times, named_times
from ddpzero.play.strength import Strength
from tests.play.protocols.gtp.scripted import Conversation


@pytest.mark.parametrize(
    ("words", "control"),
    [
        ("300 0 0", TimeControl(game_seconds=300)),
        ("300 0 5", TimeControl(game_seconds=300)),
        ("0 1 0", TimeControl()),
        ("300 10 0", TimeControl()),
        ("300 30 5", TimeControl(game_seconds=300, period_seconds=30, period_moves=5)),
        ("0 30 5", TimeControl(game_seconds=0, period_seconds=30, period_moves=5)),
    ],
)
def test_time_settings_are_main_time_period_and_moves(words, control):
    assert gtp_times(words.split()).control == control


@pytest.mark.parametrize(
    ("words", "control"),
    [
        ("none", TimeControl()),
        ("absolute 60", TimeControl(game_seconds=60)),
        ("canadian 60 30 5", TimeControl(game_seconds=60, period_seconds=30, period_moves=5)),
        ("byoyomi 60 10 3", TimeControl(game_seconds=60, period_seconds=10, period_moves=1)),
        ("fischer 60 2.5", TimeControl(game_seconds=60, increment_seconds=2.5)),
    ],
)
def test_systems_of_time_have_names(words, control):
    assert named_times(words.split(), allows_fischer=True).control == control


def test_kgs_has_no_fischer_time():
    with pytest.raises(Refused, match="byoyomi"):
        named_times(["fischer", "60", "2"], allows_fischer=False)


@pytest.fixture
def talk():
    return Conversation(load_game("tic_tac_toe"), strength=Strength(TimeControl(move_seconds=2)))


def test_clocks_are_set_by_time_left_and_begin_anew_with_a_game(talk):
    for line in ("time_settings 300 30 5", "time_left b 12 3", "time_left w -1.5 0"):
        assert talk.say(line) == "=\n\n"
    black, white = talk.session.clocks
    assert (black.seconds_left, black.moves_left) == (12, 3)
    assert (white.seconds_left, white.moves_left) == (-1.5, 0)
    talk.say("clear_board")
    assert [clock.seconds_left for clock in talk.session.clocks] == [300, 300]
    # The time for a move that the command line gave stays.
    assert talk.session.clocks[0].control.move_seconds == 2


def test_byoyomi_periods_that_are_left_are_no_moves_to_make(talk):
    talk.say("kgs-time_settings byoyomi 60 10 5")
    talk.say("time_left b 10 4")
    assert talk.session.clocks[0].moves_left == 1
    assert talk.session.clocks[0].allowance(30).usual > 1.9


def test_time_left_without_settings_is_all_there_is(talk):
    talk.say("time_left w 7 0")
    assert talk.session.clocks[1].control.game_seconds == 7
    assert talk.session.clocks[1].allowance(30).usual < 1


def test_only_the_moves_of_a_game_use_up_time(talk):
    talk.say("time_settings 300 0 0")
    talk.say("genmove b")
    after_move = talk.session.clocks[0].seconds_left
    assert after_move < 300 and talk.session.clocks[1].seconds_left == 300
    talk.say("reg_genmove w")
    talk.say("reg_genmove b")
    assert talk.session.clocks[0].seconds_left == after_move
    assert talk.session.clocks[1].seconds_left == 300
    # A move that could not be made takes none either.
    talk.say("genmove b")
    assert talk.session.clocks[0].seconds_left == pytest.approx(after_move, abs=0.5)


@pytest.mark.parametrize(
    "lines",
    [
        ("kata-set-rules chinese", "fixed_handicap 2"),
        ("kata-set-rules chinese", "place_free_handicap 2"),
        ("kata-set-rules chinese", "set_free_handicap A1 B2"),
        ("boardsize 5",),
        ("rectangular_boardsize 5 5",),
        ("komi 1.5",),
    ],
)
def test_no_command_leaves_loading_to_the_time_of_a_move(lines, monkeypatch):
    conversation = Conversation(load_game("go", size=9))
    for line in lines:
        assert conversation.say(line).startswith("=")
    monkeypatch.setattr(session_module, "make_engine", lambda *_: pytest.fail("loaded too late"))
    assert conversation.say("genmove w").startswith("=")


def test_a_parameter_sets_the_time_of_a_move(talk):
    talk.say("time_settings 300 0 0")
    talk.say("kata-set-param maxTime 0.5")
    assert talk.session.clocks[0].allowance(30).most < 0.5
    assert talk.session.strength.time.game_seconds == 300
