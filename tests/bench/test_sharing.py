"""How a GPU is shared, measured here on a CPU: what is counted, and what is concluded from it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from ddpzero.bench import sharing, tune
from ddpzero.bench.sharing import (
    TWO_PROCESSES,
    Progress,
    advice,
    emit_sharing,
    in_turns,
    in_two_processes,
    in_two_threads,
    measure_ways,
)
from ddpzero.config.hydra import compose_settings

CPU = torch.device("cpu")
TINY = [
    *("game=tic_tac_toe", "network.blocks=1", "network.channels=8", "learner.batch_size=16"),
    *("device=cpu", "actors.num_actors=2", "actors.num_games=8", "actors.precision=float32"),
    "learner.precision=float32",
]


def test_both_sides_work_in_turns_and_in_two_processes() -> None:
    settings = compose_settings(TINY)
    found = measure_ways(settings, CPU, 0.4)
    assert [progress.way for progress in found] == [TWO_PROCESSES, "turns"]
    assert all(progress.evaluator > 0 and progress.learner > 0 for progress in found)


def test_an_evaluator_that_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_evaluate_elsewhere", _ends)
    with pytest.raises(RuntimeError, match="process ended"):
        in_two_processes(compose_settings(TINY), CPU, lambda: None, 0.1)


def _ends(*_: Any) -> None:
    raise SystemExit(1)


def test_turns_wait_for_the_device_after_each_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(sharing, "_TURN_SECONDS", 0.001)
    monkeypatch.setattr(sharing, "synchronize", lambda _: calls.append("wait"))

    def work(name: str) -> None:
        calls.append(name)
        time.sleep(0.0002)

    in_turns(lambda: work("evaluate"), lambda: work("update"), 0.02, CPU)
    assert calls[1::2] == ["wait"] * (len(calls) // 2)
    assert {"evaluate", "update"} == set(calls[::2])


def test_each_thread_works_in_its_own_stream() -> None:
    active = threading.local()
    seen: dict[str, set[str]] = {"evaluate": set(), "update": set()}

    @contextmanager
    def stream(name: str) -> Iterator[None]:
        active.name = name
        yield

    rates = in_two_threads(
        lambda: seen["evaluate"].add(active.name),
        lambda: seen["update"].add(active.name),
        0.01,
        CPU,
        [lambda: stream("first"), lambda: stream("second")],
    )
    assert seen == {"evaluate": {"first"}, "update": {"second"}}
    assert min(rates) > 0


def test_the_advice_names_a_clearly_better_way_and_what_a_run_can_do() -> None:
    own, turns = Progress(TWO_PROCESSES, 0.45, 0.5), Progress("turns", 0.49, 0.5)
    assert advice([own, turns]) == (
        "two processes do 0.95 of what the device does for one of them alone, and no other way clearly more"
    )
    streams = Progress("two streams, learner first", 0.5, 0.8)
    assert "two streams, learner first 1.30: try NVIDIA's MPS daemon" in advice([own, streams])


def test_a_cpu_is_not_shared_in_this_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "measure_ways", lambda *_: pytest.fail("measured"))
    emitted: list[Any] = []

    def emit(*values: Any, **named: Any) -> None:
        emitted.append((values, named))

    emit_sharing(compose_settings(TINY), CPU, 1.0, emit)
    assert emitted == [(("not run", 0.0), {"note": sharing.NOT_APPLICABLE})]
    said: list[str] = []
    assert tune._of_sharing(compose_settings(TINY), CPU, CPU, said.append) == []
    assert said == [f"sharing: {sharing.NOT_APPLICABLE}"]


def test_what_a_gpu_reaches_is_emitted_with_the_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Progress(TWO_PROCESSES, 0.5, 0.625)]
    monkeypatch.setattr(sharing, "measure_ways", lambda *_: found)
    emitted: list[Any] = []
    emit_sharing(
        compose_settings(TINY),
        torch.device("cuda", 0),
        1.0,
        lambda figure, value, unit="", note="": emitted.append((figure, value, note)),
    )
    assert emitted == [
        ("two processes, evaluator", 0.5, ""),
        ("two processes, learner", 0.625, ""),
        ("two processes, both", 1.125, advice(found)),
    ]


def test_tune_notes_the_measurement_of_a_shared_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 0)
    found = [Progress(TWO_PROCESSES, 0.5, 0.6)]
    monkeypatch.setattr(tune, "measure_ways", lambda *_: found)
    said: list[str] = []
    settings = compose_settings(TINY)
    (choice,) = tune._of_sharing(settings, gpu, gpu, said.append)
    assert (choice.key, choice.value, choice.reason) == ("evaluator", "shared", advice(found))
    assert tune._of_sharing(settings, gpu, torch.device("cuda", 1), said.append) == []


@pytest.mark.gpu
def test_a_gpu_is_shared_in_all_ways() -> None:
    found = measure_ways(compose_settings(TINY[:-3]), torch.device("cuda", 0), 2.0)
    assert len(found) == 4
    assert all(progress.evaluator > 0 and progress.learner > 0 for progress in found)
