"""Facts about the messages of a page."""

from __future__ import annotations

import json

import pytest

from ddpzero.system.errors import UserError
from ddpzero.web.messages import MAX_MESSAGE_CHARACTERS, Begin, Hint, Play, Set, parse_message


@pytest.mark.parametrize(
    ("message", "read"),
    [
        ({"type": "begin", "game": "g", "moves": [3, 4], "at": 1}, Begin("g", (3, 4), 1)),
        ({"type": "play", "action": 3, "position": 7}, Play(3, 7)),
        ({"type": "hint"}, Hint()),
        ({"type": "set", "seconds": 2}, Set(seconds=2.0)),
        ({"type": "set", "level": 3, "resigns": True}, Set(level=3, resigns=True)),
        ({"type": "set", "seats": ["agent", "person"]}, Set(seats=("agent", "person"))),
        ({"type": "set", "simulations": 0, "paused": True}, Set(simulations=0, paused=True)),
    ],
)
def test_a_message_is_read(message, read):
    assert parse_message(json.dumps(message)) == read


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "must be one JSON object"),
        ("[1]", "must be one JSON object"),
        ("[" * 60_000, "must be one JSON object"),
        ("x" * (MAX_MESSAGE_CHARACTERS + 1), "characters: at most 262,144 are read"),
        ("{}", "a message has a type: one of begin, play"),
        ('{"type": ["play"]}', "a message has a type: one of begin, play"),
        ('{"type": "fly"}', "a message has a type: one of begin, play"),
        ('{"type": "play", "action": 1}', "play.position must be a whole number"),
        ('{"type": "play", "action": true, "position": 1}', "play.action must be a whole number"),
        ('{"type": "play", "action": -1, "position": 1}', "play.action must be a whole number"),
        ('{"type": "play", "action": 1, "position": 1, "x": 2}', "play.x is unknown"),
        ('{"type": "begin", "game": "g", "moves": [1.5], "at": 0}', "begin.moves must be at most"),
        ('{"type": "begin", "game": "g", "moves": [1], "at": 2}', "begin.at=2 is beyond the 1"),
        ('{"type": "begin", "game": 3, "moves": [], "at": 0}', "begin.game must be a text"),
        ('{"type": "set", "seats": ["agent"]}', "set.seats must name two players"),
        ('{"type": "set", "seats": "ab"}', "set.seats must name two players"),
        ('{"type": "set", "seconds": NaN}', "set.seconds must be a number from"),
        ('{"type": "set", "seconds": 1%s}' % ("0" * 400), "set.seconds must be a number from"),
        ('{"type": "set", "seconds": 1e999}', "set.seconds must be a number from"),
        ('{"type": "pace", "steps_per_second": 1e-10}', "must be a number from 0.01 to 60."),
        ('{"type": "set", "seconds": 0}', "set.seconds must be a number from 0.001 to 600."),
        ('{"type": "set", "simulations": 99999999}', "set.simulations must be a whole number"),
        ('{"type": "set", "level": 10}', "set.level must be a whole number from 0 to 9"),
        ('{"type": "set", "paused": 1}', "set.paused must be true or false"),
    ],
)
def test_anything_else_is_answered_by_one_sentence(text, fragment):
    with pytest.raises(UserError) as caught:
        parse_message(text)
    assert fragment in str(caught.value)
    assert len(str(caught.value)) < 300
