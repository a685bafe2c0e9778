"""Requests and answers in shared memory: none is lost, none is taken for another."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from ddpzero.actors.exchange import Exchange, LaneSize

SIZE = LaneSize(lanes_per_actor=2, input_bytes=100, output_floats=7)


@pytest.fixture
def exchange():
    with Exchange(3, SIZE) as exchange:
        yield exchange


def test_a_request_arrives_and_its_answer_comes_back(exchange):
    lane = exchange.lane(2, 1)
    lane.inputs[:] = np.arange(100)
    lane.submit(5, kind=3, wanted_version=17)
    assert exchange.wait_for_requests(0) == 1
    (request,) = exchange.open_requests()
    assert (request.num_rows, request.kind, request.wanted_version) == (5, 3, 17)
    assert exchange.inputs(request.lane).tolist() == list(range(100))
    exchange.outputs(request.lane)[:] = np.arange(7)
    exchange.answer(request, used_version=18)
    assert lane.wait() == 18
    assert lane.outputs.tolist() == list(range(7))
    assert exchange.open_requests() == []


def test_lanes_share_no_memory(exchange):
    lanes = [exchange.lane(actor, number) for actor in range(3) for number in range(2)]
    for index, lane in enumerate(lanes):
        lane.inputs[:] = index
        lane.outputs[:] = index
    for index, lane in enumerate(lanes):
        assert set(lane.inputs.tolist()) == {index} == set(lane.outputs.tolist())
        assert exchange.inputs(index).tolist() == lane.inputs.tolist()


def test_an_actor_sleeps_until_its_answer_comes(exchange):
    lane, other = exchange.lane(0, 0), exchange.lane(0, 1)
    lane.submit(1, 0, 0)
    other.submit(1, 0, 0)
    assert exchange.wait_for_requests(0) == 2
    first, second = exchange.open_requests()
    found: list[int] = []
    waiting = threading.Thread(target=lambda: found.append(lane.wait()))
    waiting.start()
    # An answer to the actor's other lane wakes it, but is not what it waits for.
    exchange.answer(second, 5)
    waiting.join(0.2)
    assert waiting.is_alive() and found == []
    exchange.answer(first, 6)
    waiting.join(10)
    assert found == [6] and other.wait() == 5


def test_an_evaluator_sleeps_until_there_is_enough_to_do(exchange):
    found: list[int] = []

    def wait() -> None:
        found.append(exchange.wait_for_requests(60, at_least=2))

    waiting = threading.Thread(target=wait)
    waiting.start()
    exchange.lane(0, 0).submit(1, 0, 0)
    waiting.join(0.2)
    assert waiting.is_alive() and found == []
    exchange.lane(1, 0).submit(1, 0, 0)
    waiting.join(10)
    assert found == [2]
    # For less time than a poll takes, too.
    assert exchange.wait_for_requests(0.001, at_least=3) == 2


def test_no_request_within_the_time_is_no_request(exchange):
    assert exchange.wait_for_requests(0.01) == 0


def test_what_was_not_answered_is_found_later_though_its_wake_up_is_gone(exchange):
    exchange.lane(1, 0).submit(4, 0, 0)
    exchange.lane(1, 1).submit(4, 0, 0)
    # Polls, and so takes what is in the pipe.
    assert exchange.wait_for_requests(0.01, at_least=3) == 2
    taken = exchange.open_requests()
    # Whoever took them dies here.
    assert exchange.wait_for_requests(10) == 2 and exchange.open_requests() == taken


def test_an_answer_whose_wake_up_was_lost_is_found_when_another_evaluator_begins(
    exchange, monkeypatch
):
    lane = exchange.lane(1, 0)
    lane.submit(4, 0, 0)
    (request,) = exchange.open_requests()
    found: list[int] = []
    waiting = threading.Thread(target=lambda: found.append(lane.wait()))
    waiting.start()
    waiting.join(0.2)
    with monkeypatch.context() as dies:
        # Whoever answers dies here.
        dies.setattr(os, "write", lambda fd, data: 0)
        exchange.answer(request, 7)
    waiting.join(0.2)
    assert waiting.is_alive() and exchange.open_requests() == []
    exchange.wake_all()
    waiting.join(10)
    assert found == [7]


def test_the_answer_to_an_actor_that_has_died_is_not_its_successors(exchange):
    exchange.lane(0, 0).submit(4, 0, 0)
    (of_dead,) = exchange.open_requests()
    successor = exchange.lane(0, 0)
    successor.submit(2, 0, 0)
    exchange.answer(of_dead, 1)
    (request,) = exchange.open_requests()
    assert request.num_rows == 2
    found: list[int] = []
    waiting = threading.Thread(target=lambda: found.append(successor.wait()))
    waiting.start()
    waiting.join(0.1)
    assert found == []
    exchange.answer(request, 2)
    waiting.join(10)
    assert found == [2]


def test_wake_ups_that_nobody_reads_stop_nobody(exchange):
    lane = exchange.lane(0, 0)
    # A pipe holds 65,536 of them.
    for _ in range(70_000):
        lane.submit(1, 0, 0)
        (request,) = exchange.open_requests()
        exchange.answer(request, 1)
    lane.submit(1, 0, 0)
    assert exchange.wait_for_requests(0) == 1
    (request,) = exchange.open_requests()
    exchange.answer(request, 9)
    assert lane.wait() == 9


def test_who_asks_hears_that_nobody_is_left_who_answers(exchange):
    lane = exchange.lane(0, 0)
    lane.submit(1, 0, 0)
    (request,) = exchange.open_requests()
    exchange.answer(request, 3)
    exchange.leave_answers_to_others()
    # What was answered before still counts.
    assert lane.wait() == 3
    lane.submit(1, 0, 0)
    with pytest.raises(EOFError, match="no process is left"):
        lane.wait()


def test_closing_frees_memory_and_pipes():
    before = len(os.listdir("/proc/self/fd"))
    exchange = Exchange(4, SIZE)
    assert len(os.listdir("/proc/self/fd")) > before
    exchange.close()
    exchange.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_memory_that_cannot_be_had_is_refused_in_a_sentence(monkeypatch):
    def refuse(fd: int, offset: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(
        RuntimeError, match="of shared memory for positions cannot be allocated: No sp"
    ):
        Exchange(1, SIZE)
    assert len(os.listdir("/proc/self/fd")) == before
