"""What the gate of a collection server lets in: bodies that keep pace, as many as there is room for."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.requests import Request

from ddpzero.serve import gate
from ddpzero.serve.accounts import User
from ddpzero.serve.database import open_database
from ddpzero.serve.gate import Gate, read_body
from ddpzero.serve.refusals import Refusal

ALICE, BOB, LEA = (User(number, name, "") for number, name in enumerate(("alice", "bob", "lea")))


@pytest.fixture
def a_gate(tmp_path):
    """A gate for uploads of at most 10 bytes."""
    engine = open_database(tmp_path, None)
    yield Gate(engine, 100, 100, 10)
    engine.dispose()


def sent(*parts: bytes, wait: float = 0.0) -> Request:
    """Return a request with a body of these parts. wait: seconds before each but the first."""
    waiting = list(parts)

    async def receive() -> dict[str, Any]:
        if len(waiting) < len(parts):
            await asyncio.sleep(wait)
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    return Request({"type": "http", "method": "PUT", "path": "/", "headers": []}, receive)


def test_a_body_has_to_keep_pace(a_gate, monkeypatch):
    monkeypatch.setattr(gate, "_BODY_SECONDS", 0.2)
    monkeypatch.setattr(gate, "_BODY_BYTES_PER_SECOND", 1000)

    async def read(*parts: bytes) -> bytes:
        with a_gate.push(LEA) as body:
            return await read_body(sent(*parts, wait=0.15), 10_000, body)

    # 200 bytes every 0.15 seconds, which may take 0.2 each.
    assert asyncio.run(read(*[bytes(200)] * 5)) == bytes(1000)
    with pytest.raises(Refusal) as refused:
        asyncio.run(read(*[bytes(20)] * 5))
    assert refused.value.status == 408 and refused.value.retry_after


def test_bodies_find_room_or_are_refused(a_gate, monkeypatch):
    monkeypatch.setattr(a_gate, "max_body_bytes", 25)

    async def read(user: User, size: int, is_push: bool = False) -> bytes:
        with a_gate.push(user) if is_push else a_gate.upload(user) as body:
            content = await read_body(sent(bytes(size)), 1000, body)
            await asyncio.sleep(0.1)
            return content

    async def run() -> None:
        found = await asyncio.gather(
            *(read(ALICE, 10), read(ALICE, 10), read(ALICE, 1), read(BOB, 10)),
            read(LEA, 900, is_push=True),
            return_exceptions=True,
        )
        third, fourth = found[2:4]
        assert isinstance(third, Refusal) and third.status == 429
        assert isinstance(fourth, Refusal) and fourth.status == 503 and fourth.retry_after
        assert found[:2] == [bytes(10), bytes(10)] and found[4] == bytes(900)
        assert await read(BOB, 10) == bytes(10) and a_gate.body_bytes == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    "kind, user, allowed", [("upload", ALICE, 2), ("push", LEA, 2), ("message", BOB, 8)]
)
def test_who_sends_too_much_at_once_is_told_what_is_bounded(a_gate, kind, user, allowed):
    words = {"upload": "uploads", "push": "models", "message": "messages"}
    with ExitStack() as stack:
        for _ in range(allowed):
            stack.enter_context(getattr(a_gate, kind)(user))
        with pytest.raises(Refusal) as refused, getattr(a_gate, kind)(user):
            pass
        assert refused.value.status == 429
        assert refused.value.sentence == (
            f"{user.name} sends too many {words[kind]} at the same time: {allowed} are allowed."
        )
        # Each kind has its own bound.
        for other in words.keys() - {kind}:
            stack.enter_context(getattr(a_gate, other)(user))
