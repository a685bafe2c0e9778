"""Batches that are sampled ahead of time, or several at once: the same ones, and no trace of those nobody took."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddpzero.bench.noise import noise
from ddpzero.config.hydra import compose_settings
from ddpzero.replay import Episode, Field, ReplayBuffer
from ddpzero.system.errors import UserError
from ddpzero.training.batches import BatchFeeder
from ddpzero.training.learner import Learner
from ddpzero.training.stored_source import StoredSamples
from tests.run.checkpointed_runs import resume, without_actors

SPEC = {
    "number": Field((), np.dtype("int64")),
    "again": Field((50,), np.dtype("int64")),
}
CPU = torch.device("cpu")


def samples(first: int, end: int) -> dict[str, np.ndarray]:
    numbers = np.arange(first, end)
    return {"number": numbers, "again": np.repeat(numbers[:, None], 50, axis=1)}


def feeder(samples_ahead: bool, stored: bool = False, device: torch.device = CPU) -> BatchFeeder:
    buffer = ReplayBuffer(SPEC, 100, seed=1)
    buffer.add(samples(0, 60))
    others = StoredSamples(samples(1000, 1050), np.zeros(50, bool)) if stored else None
    return BatchFeeder(buffer, 16, device, others, 6 if stored else 0, 5, samples_ahead)


def numbers(batch: dict[str, torch.Tensor]) -> list[int]:
    return batch["number"].tolist()


@pytest.mark.parametrize("stored", [False, True])
def test_the_batches_are_those_that_are_sampled_when_they_are_needed(stored: bool) -> None:
    ahead, plain = feeder(True, stored), feeder(False, stored)
    for _ in range(6):
        assert numbers(ahead.take()) == numbers(plain.take())
    ahead.close()


@pytest.mark.parametrize("stored", [False, True])
def test_what_was_sampled_ahead_and_forgotten_leaves_no_trace(stored: bool) -> None:
    ahead, plain = feeder(True, stored), feeder(False, stored)
    for end in (70, 75, 90):
        for _ in range(3):
            assert numbers(ahead.take()) == numbers(plain.take())
        ahead.forget()
        assert ahead._buffer.state().meta == plain._buffer.state().meta
        assert ahead._num_batches == plain._num_batches
        for each in (ahead, plain):
            each._buffer.add(samples(end - 5, end))
        # The same choice from the new data.
        assert numbers(ahead.take()) == numbers(plain.take())
    ahead.close()


@pytest.mark.parametrize("stored", [False, True])
def test_batches_sampled_at_once_are_those_sampled_one_by_one(stored: bool) -> None:
    at_once, plain = feeder(False, stored), feeder(False, stored)
    for num_expected in (3, 0, 1, 4):
        at_once.expect(num_expected)
        for _ in range(max(1, num_expected)):
            assert numbers(at_once.take()) == numbers(plain.take())
    assert at_once._buffer.state().meta == plain._buffer.state().meta
    # Two more are ready, and are forgotten.
    at_once.expect(3)
    assert numbers(at_once.take()) == numbers(plain.take())
    assert at_once._buffer.num_sampled == plain._buffer.num_sampled + 2 * (10 if stored else 16)
    at_once.forget()
    assert at_once._buffer.state().meta == plain._buffer.state().meta
    assert at_once._num_batches == plain._num_batches
    for each in (at_once, plain):
        each._buffer.add(samples(60, 70))
    assert numbers(at_once.take()) == numbers(plain.take())
    assert at_once._buffer.num_sampled == plain._buffer.num_sampled, "expected no longer"


def test_large_batches_are_not_sampled_at_once() -> None:
    buffer = ReplayBuffer(SPEC, 10, seed=1)
    buffer.add(samples(0, 10))
    # Each has 0.4 MB: two of them fit into the caches.
    large = BatchFeeder(buffer, 1000, CPU)
    large.expect(8)
    large.take()
    assert buffer.num_sampled == 2000
    larger = BatchFeeder(buffer, 3000, CPU)
    larger.expect(8)
    larger.take()
    assert buffer.num_sampled == 5000


def test_what_goes_wrong_in_the_thread_is_raised_where_the_batch_is_taken() -> None:
    ahead = feeder(True)
    ahead.take()
    ahead.forget()
    buffer: Any = ahead._buffer

    def broken(batch_size: int) -> None:
        raise UserError("replay.capacity=7 is broken: mend it.")

    buffer.sample = broken
    with pytest.raises(UserError, match=r"^replay\.capacity=7 is broken: mend it\.$"):
        ahead.take()
    ahead.close()


def test_an_error_in_a_batch_that_is_forgotten_does_not_end_the_run() -> None:
    ahead = feeder(True)
    ahead.take()
    ahead.forget()
    buffer: Any = ahead._buffer
    sample, calls = buffer.sample, list[int]()

    def fails_once(batch_size: int) -> Any:
        calls.append(batch_size)
        if len(calls) == 2:
            raise RuntimeError("once")
        return sample(batch_size)

    buffer.sample = fails_once
    ahead.take()
    ahead.forget()
    assert len(numbers(ahead.take())) == 16
    ahead.close()


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    ahead = feeder(True)
    ahead.take()
    assert threading.active_count() == before + 1
    ahead.close()
    assert threading.active_count() == before
    never_used = feeder(True)
    never_used.close()
    assert threading.active_count() == before


def test_samples_are_whole_although_others_are_inserted_meanwhile() -> None:
    reading, added = threading.Event(), threading.Event()

    class ReadSlowly(np.ndarray):
        """The first column of a batch: the others follow when new samples have come, or do not come."""

        def take(self, *rows: Any, **axis: Any) -> Any:
            taken = super().take(*rows, **axis)
            reading.set()
            added.wait(0.3)
            return taken

    buffer = ReplayBuffer(SPEC, 100, seed=1)
    buffer.add(samples(0, 100))
    ahead = BatchFeeder(buffer, 16, CPU, samples_ahead=True)
    ahead.take()
    ahead.forget()
    buffer._arrays["number"] = buffer._arrays["number"].view(ReadSlowly)
    ahead._begin_next()
    assert reading.wait(10)
    buffer.add(samples(100, 200))
    added.set()
    batch = ahead.take()
    ahead.close()
    assert (batch["again"] == batch["number"][:, None]).all()


def rounds(run_dir: Path, monkeypatch: pytest.MonkeyPatch, samples_ahead: bool) -> Learner:
    without_actors(monkeypatch)
    settings = compose_settings(
        [
            *("game=tic_tac_toe", "network.blocks=1", "network.channels=4", "device=cpu"),
            *("learner.batch_size=8", "replay.capacity=60", "replay.min_samples=10", "run_name=x"),
            *("learner.schedule=rounds", f"runs_dir={run_dir.parent}"),
        ]
    )
    learner = resume(run_dir, settings)
    learner.parts.feeder._samples_ahead = samples_ahead
    return learner


def play(learner: Learner, seed: int) -> None:
    """Insert the episodes of a round, as play_round does."""
    columns = noise(learner.parts.buffer.spec, 40, np.random.default_rng(seed))
    columns["policy_target"] /= columns["policy_target"].sum(1, keepdims=True)
    info = {"num_plies": 40, "first_player_return": 1.0, "score": None, "moves": [0]}
    learner.insert([Episode(columns, {**info, "restart_ply": 0})])
    learner.parts.feeder.forget()
    learner.state.count_round(seed + 1)


def train(learner: Learner, num_updates: int) -> None:
    learner.parts.feeder.expect(num_updates)
    for _ in range(num_updates):
        learner.update()


def test_a_run_resumed_between_two_updates_equals_one_without_threads_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = rounds(tmp_path / "straight" / "x", monkeypatch, samples_ahead=False)
    stopped = rounds(tmp_path / "stopped" / "x", monkeypatch, samples_ahead=True)
    for learner in (straight, stopped):
        play(learner, 0)
        train(learner, 3)
    # Saved and gone on from; then saved, killed and resumed.
    stopped.save()
    train(straight, 2)
    train(stopped, 2)
    stopped.save()
    stopped.parts.feeder.close()
    resumed = rounds(tmp_path / "stopped" / "x", monkeypatch, samples_ahead=True)
    assert resumed.state.counters.learner_step == 5
    for learner in (straight, resumed):
        train(learner, 2)
        play(learner, 1)
        train(learner, 3)
    resumed.parts.feeder.forget()
    first, second = (run.parts.updater.released_weights() for run in (straight, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert straight.parts.buffer.state().meta == resumed.parts.buffer.state().meta
    resumed.parts.feeder.close()


@pytest.mark.gpu
def test_batches_arrive_whole_at_a_gpu_that_is_at_work() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    ahead, plain = feeder(True, True, device), feeder(False, True)
    work = torch.randn(2048, 2048, device=device)
    sums = []
    for _ in range(200):
        for _ in range(5):
            work = (work @ work).clamp(-1, 1)
        batch = ahead.take()
        assert batch["number"].device == device
        sums.append((batch["again"] * torch.arange(50, device=device)).sum())
        # Memory that is freed here may be used by the next copy.
        del batch
    expected = [int((plain.take()["again"] * torch.arange(50)).sum()) for _ in range(200)]
    assert torch.stack(sums).tolist() == expected
    ahead.close()
