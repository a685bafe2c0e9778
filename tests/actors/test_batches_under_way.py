"""Which requests an evaluator process starts when, while a batch is under way. No process and no clock: a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ddpzero.actors import WeightsChannel
from ddpzero.actors import evaluator as evaluator_module
from ddpzero.actors.evaluator import EvaluatorArguments, _Body
from ddpzero.actors.exchange import Exchange, Lane, LaneSize

NUM_ACTORS = 3
# If the last batch took so long, the end of this one is far away.
FOR_EVER = 1e9
SIZE = LaneSize(lanes_per_actor=2, input_bytes=4, output_floats=4)


class Done(Exception):
    """The script is at its end."""


class ScriptedEvaluator:
    """Records what it is told. looks: called in turn when the process looks whether the first batch is finished.

    Each returns whether it is; after the last one the script is done.
    """

    def __init__(self, max_under_way: int = 2, max_requests: int = NUM_ACTORS) -> None:
        self.max_under_way = max_under_way
        self.max_requests = max_requests
        self.calls: list[str] = []
        self.looks: list[Callable[[], bool]] = []

    def receive(self, arrays: dict[str, np.ndarray], weights_version: int) -> None:
        self.calls.append(f"weights {weights_version}")

    def start(self, kind: int, num_rows: list[int], inputs: list[np.ndarray]) -> None:
        lanes = ",".join(str(int(each[0])) for each in inputs)
        self.calls.append(f"start {lanes}" + (f" of kind {kind}" if kind else ""))

    def is_finished(self) -> bool:
        if not self.looks:
            raise Done
        return self.looks.pop(0)()

    def finish(self, outputs: list[np.ndarray]) -> None:
        self.calls.append(f"finish {len(outputs)}")


class Rank:
    """The lanes of three actors: numbers 0 and 1 are of actor 0, and so on."""

    def __init__(self, channel: WeightsChannel, exchange: Exchange, scripted: ScriptedEvaluator):
        self.channel = channel
        self.scripted = scripted
        self.body = _Body(_arguments(channel, exchange, scripted))
        self.lanes: list[Lane] = [
            exchange.lane(actor, number) for actor in range(NUM_ACTORS) for number in range(2)
        ]

    def ask(self, *lanes: int, kind: int = 0, version: int = 1) -> None:
        for index in lanes:
            self.lanes[index].inputs[:] = index
            self.lanes[index].submit(1, kind, version)

    def after(self, *lanes: int, is_finished: bool = False, **request: int) -> Callable[[], bool]:
        """Return a look, before which these lanes ask."""

        def look() -> bool:
            self.ask(*lanes, **request)
            return is_finished

        return look

    def calls(self, *looks: Callable[[], bool]) -> list[str]:
        """Run until the script is done."""
        self.scripted.looks = list(looks)
        with pytest.raises(Done):
            self.body.run()
        return self.scripted.calls


def _arguments(
    channel: WeightsChannel, exchange: Exchange, scripted: ScriptedEvaluator
) -> EvaluatorArguments:
    class Spec:
        def make(self, num_actors: int) -> ScriptedEvaluator:
            return scripted

    deaf = SimpleNamespace(send=lambda messages: None)
    parts: dict[str, Any] = {"spec": Spec(), "connection": deaf, "crash_report": None}
    return EvaluatorArguments(
        parent_pid=0, rank=0, exchange=exchange, weights=channel, log_file=Path("unused"), **parts
    )


@pytest.fixture
def make_rank(monkeypatch) -> Iterator[Callable[..., Rank]]:
    # Nobody hears the signs of life.
    monkeypatch.setattr(evaluator_module, "_METRICS_INTERVAL_SECONDS", 1e9)
    made: list[Rank] = []

    def make(**options: int) -> Rank:
        made.append(Rank(channel, exchange, ScriptedEvaluator(**options)))
        return made[-1]

    with WeightsChannel({"a": np.zeros(1)}) as channel, Exchange(NUM_ACTORS, SIZE) as exchange:
        channel.publish({"a": np.zeros(1)}, 1)
        yield make
        for rank in made:
            rank.lanes.clear()


def test_a_complete_batch_is_started_beside_the_one_under_way_which_is_then_finished(make_rank):
    rank = make_rank()
    rank.ask(0, 2, 4)
    rank.body._batch_seconds = FOR_EVER
    calls = rank.calls(rank.after(), rank.after(1, 3), rank.after(5))
    assert calls == ["weights 1", "start 0,2,4", "start 1,3,5", "finish 3"]
    assert rank.lanes[0].wait() == 1


def test_an_incomplete_batch_waits_for_the_end_of_the_one_under_way_and_starts_before_its_answers(
    make_rank,
):
    rank = make_rank()
    rank.ask(0, 2, 4)
    looks = [rank.after(), rank.after(1), rank.after(), rank.after(is_finished=True)]
    rank.body._batch_seconds = FOR_EVER
    assert rank.calls(*looks) == ["weights 1", "start 0,2,4", "start 1", "finish 3"]


def test_just_before_the_end_an_incomplete_batch_is_started(make_rank):
    rank = make_rank()
    rank.ask(0, 2, 4)
    # The last batch took no time: this one should be about finished.
    rank.body._batch_seconds = 0.0
    calls = rank.calls(rank.after(), rank.after(1), rank.after())
    assert calls == ["weights 1", "start 0,2,4", "start 1", "finish 3"]


def test_a_finished_batch_is_answered_if_nothing_else_is_asked(make_rank):
    rank = make_rank()
    rank.ask(0)
    rank.body._batch_seconds = 0.0
    looks = [rank.after(), *[rank.after(is_finished=True)] * 2]
    rank.scripted.looks = looks

    def finish(outputs: list[np.ndarray]) -> None:
        raise Done

    rank.scripted.finish = finish
    with pytest.raises(Done):
        rank.body.run()
    assert rank.scripted.calls == ["weights 1", "start 0"] and looks == []


def test_requests_that_wait_longest_are_next_and_no_more_than_there_are_actors(make_rank):
    rank = make_rank(max_under_way=1)
    rank.ask(0, 1, 2)
    finish = rank.scripted.finish

    def finish_and_ask(outputs: list[np.ndarray]) -> None:
        finish(outputs)
        if len(rank.scripted.calls) > 4:
            raise Done
        # Before they were answered: as actors that are replaced.
        rank.ask(0, 1, 2, 3, 4, 5)

    rank.scripted.finish = finish_and_ask
    assert rank.calls() == ["weights 1", *("start 0,1,2", "finish 3", "start 3,4,5", "finish 3")]


def test_weights_change_only_when_all_batches_are_finished(make_rank):
    rank = make_rank()
    rank.ask(0, 2, 4)

    def newer() -> bool:
        rank.channel.publish({"a": np.ones(1)}, 2)
        rank.ask(1, 3, 5, version=2)
        return False

    calls = rank.calls(rank.after(), newer)
    assert calls == ["weights 1", "start 0,2,4", "finish 3", "weights 2", "start 1,3,5"]
    assert rank.lanes[0].wait() == 1


def test_requests_of_other_kinds_and_beyond_the_limit_are_batches_of_their_own(make_rank):
    rank = make_rank(max_requests=1)
    rank.ask(0, 2)
    rank.ask(4, kind=1)
    calls = rank.calls(rank.after(is_finished=False))
    assert calls == [
        *("weights 1", "start 0", "start 2", "finish 1", "start 4 of kind 1", "finish 1"),
    ]


def test_without_room_for_a_second_batch_each_is_finished_at_once(make_rank):
    rank = make_rank(max_under_way=1)
    rank.ask(0, 2, 4)
    finish = rank.scripted.finish

    def finish_and_ask(outputs: list[np.ndarray]) -> None:
        finish(outputs)
        if len(rank.scripted.calls) > 4:
            raise Done
        rank.ask(1, 3, 5)

    rank.scripted.finish = finish_and_ask
    assert rank.calls() == ["weights 1", *("start 0,2,4", "finish 3", "start 1,3,5", "finish 3")]
