"""Facts about what a page that reads slowly is told."""

from __future__ import annotations

import asyncio
import json

import pytest

from ddpzero.web import outbox as outbox_module
from ddpzero.web.outbox import Outbox, PageLags


def told_late(*messages):
    """What a page reads that begins to read when all of these have been sent."""

    async def talk():
        outbox = Outbox()
        for message in messages:
            outbox.send(message)
        outbox.send({"type": "end"})
        # The outbox takes them in its event loop.
        await asyncio.sleep(0)
        told = []
        while not told or told[-1]["type"] != "end":
            told.append(json.loads(await asyncio.wait_for(outbox.next(), 10)))
        return told[:-1]

    return asyncio.run(talk())


def test_the_newest_state_always_arrives():
    messages = []
    for number in range(1000):
        messages.append({"type": "state", "id": number})
        messages.append({"type": "thoughts", "of": number})
    assert told_late(*messages) == messages[-2:]


def test_reviews_arrive_whole_and_the_newest_state_with_them():
    reviews = [{"type": "review", "ply": ply} for ply in range(1000)]
    states = [{"type": "state", "id": number} for number in range(1000)]
    sent = [message for pair in zip(states, reviews, strict=True) for message in pair]
    told = told_late(*sent)
    assert [message for message in told if message["type"] == "review"] == reviews
    assert [message for message in told if message["type"] == "state"][-1] == states[-1]


def test_a_state_is_not_moved_past_what_refers_to_it():
    first, second = {"type": "state", "id": 1}, {"type": "state", "id": 2}
    for kind in ("game", "hint", "review", "opened", "error"):
        sent = (first, {"type": kind}, second)
        assert told_late(*sent) == list(sent)


def test_of_thoughts_the_newest_are_enough():
    exact = {"type": "exact", "position": 1}
    thoughts = [{"type": "thoughts", "of": number} for number in range(3)]
    assert told_late(thoughts[0], exact, thoughts[1], thoughts[2]) == [exact, thoughts[2]]


def test_a_page_that_no_longer_reads_is_given_up(monkeypatch):
    monkeypatch.setattr(outbox_module, "_MAX_WAITING_CHARACTERS", 1000)

    with pytest.raises(PageLags):
        told_late(*({"type": "error", "text": "x" * 50} for _ in range(30)))
    # Messages that replace each other are not counted twice.
    assert len(told_late(*({"type": "state", "text": "x" * 50} for _ in range(30)))) == 1


def test_what_waits_for_a_page_that_does_not_read_stays_small(monkeypatch):
    monkeypatch.setattr(outbox_module, "_MAX_WAITING_CHARACTERS", 1000)

    async def never_read():
        outbox = Outbox()
        for _ in range(200):
            outbox.send({"type": "error", "text": "x" * 50})
        await asyncio.sleep(0)
        return len(outbox._waiting)

    assert 10 < asyncio.run(never_read()) < 30
