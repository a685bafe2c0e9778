"""Messages keep their bounds, and a full socket makes the actor wait, never the rank."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from ddpzero.actors.connection import Kind, Message, RankGone, open_connection


def receive_all(rank_end, num_messages: int) -> list[Message]:
    messages: list[Message] = []
    deadline = time.monotonic() + 10
    while len(messages) < num_messages and time.monotonic() < deadline:
        messages += rank_end.receive()[0]
    return messages


def test_messages_of_any_size_come_back_whole_and_in_order():
    rank_end, actor_end = open_connection(1 << 16)
    rng = np.random.default_rng(0)
    sizes = [0, 1, 15, 16, 17, 5_000_000, 3, 300_000]
    sent = [Message(Kind.EPISODE, i, rng.bytes(size)) for i, size in enumerate(sizes)]
    sender = threading.Thread(target=actor_end.send, args=[sent])
    sender.start()
    assert receive_all(rank_end, len(sent)) == sent
    sender.join()
    actor_end.close()
    assert rank_end.receive() == ([], False)
    rank_end.close()


def test_a_rank_never_waits_for_the_rest_of_a_message():
    rank_end, actor_end = open_connection(1 << 16)
    assert rank_end.receive() == ([], True)
    os.write(actor_end._socket.fileno(), b"\x01\0\0\0")
    assert rank_end.receive() == ([], True)
    actor_end.close()
    rank_end.close()


def test_what_an_actor_sent_before_it_died_is_not_lost():
    rank_end, actor_end = open_connection(1 << 16)
    rank_end.send(Message(Kind.COMMAND, 1, b"never read"))
    actor_end.send([Message(Kind.ROUND_DONE, 7)])
    actor_end.close()
    assert rank_end.receive() == ([Message(Kind.ROUND_DONE, 7)], False)
    rank_end.send(Message(Kind.COMMAND, 2, b"to nobody"))
    rank_end.close()


def test_an_actor_hears_commands_and_that_its_rank_is_gone():
    rank_end, actor_end = open_connection(1 << 16)
    assert actor_end.receive(timeout_seconds=0) is None
    rank_end.send(Message(Kind.COMMAND, 3, b"{}"))
    assert actor_end.receive(timeout_seconds=None) == Message(Kind.COMMAND, 3, b"{}")
    rank_end.close()
    with pytest.raises(RankGone):
        actor_end.receive(timeout_seconds=None)
    with pytest.raises(RankGone):
        actor_end.send([Message(Kind.ROUND_DONE, 3)])
    actor_end.close()


@pytest.mark.parametrize("head", [b"\xff" * 16, b"\x09" + b"\0" * 15])
def test_nonsense_is_refused(head):
    rank_end, actor_end = open_connection(1 << 16)
    os.write(actor_end._socket.fileno(), head)
    with pytest.raises(ValueError):
        rank_end.receive()
    actor_end.close()
    rank_end.close()
