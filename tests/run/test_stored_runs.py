"""The episodes of a run on disk: checkpoints name them, a full disk costs none, and the disk stays bounded."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpzero.replay import Episode
from ddpzero.run import episode_store
from ddpzero.run.shard import list_shards, shard_path, write_shard
from ddpzero.training.learner import Learner
from tests.replay.whole_states import columns_of
from tests.run.checkpointed_runs import without_actors
from tests.run.test_resume import BOARD, samples, start


@pytest.fixture(autouse=True)
def no_actors(monkeypatch: pytest.MonkeyPatch) -> None:
    without_actors(monkeypatch)


def insert(learner: Learner, num_episodes: int) -> None:
    """Insert episodes of five samples, as from the actors."""
    for number in range(num_episodes):
        columns = samples(learner.parts.buffer.spec, 5)
        columns["weights_version"][:] = number % 3
        columns["outcome"][:] = number / num_episodes
        episode = Episode(columns, {"number": number, "moves": [1, 2]})
        held_out = number % 4 == 0
        origin = learner.intake.store.add(episode, held_out)
        learner.parts.buffer.add(columns, held_out, origin)
        learner.state.count_episode(episode)
    learner.state.counters.weights_version = 3


def save(learner: Learner, step: int) -> str | None:
    learner.state.counters.learner_step = learner.state.counters.samples_trained = step
    learner.save()
    return learner.checkpointing.last_error


def assert_resumes_with_all(run_dir: Path, learner: Learner, *overrides: str) -> Learner:
    resumed = start(run_dir, BOARD, *overrides)
    for name, column in columns_of(learner.parts.buffer).items():
        np.testing.assert_array_equal(column, columns_of(resumed.parts.buffer)[name])
    return resumed


def test_a_resumed_run_has_its_samples_from_the_shards(tmp_path: Path) -> None:
    learner = start(tmp_path / "x", BOARD)
    for step in (1, 2, 3):
        insert(learner, 6)
        assert save(learner, step) is None
    (checkpoint, *_) = sorted((tmp_path / "x" / "checkpoints").iterdir())
    assert (checkpoint / "replay-rank0.safetensors").stat().st_size < 500
    resumed = assert_resumes_with_all(tmp_path / "x", learner)
    # One that goes on names old and new shards.
    insert(resumed, 3)
    assert save(resumed, 4) is None
    assert_resumes_with_all(tmp_path / "x", resumed)
    assert len(list_shards(tmp_path / "x" / "episodes")) == 4


def test_shards_and_their_names_are_on_disk_before_a_checkpoint_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, str]] = []
    in_threads: set[str] = set()
    episodes, sync, replace = tmp_path / "x" / "episodes", os.fsync, os.replace

    def synced(descriptor: int) -> None:
        sync(descriptor)
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        events.append(("sync", path))
        if path.startswith(str(episodes)):
            in_threads.add(threading.current_thread().name)

    def replaced(source: Any, target: Any) -> None:
        replace(source, target)
        events.append(("name", str(target)))

    learner = start(tmp_path / "x", BOARD)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    for step in (1, 2):
        events.clear()
        insert(learner, 4)
        assert save(learner, step) is None
        shard = shard_path(episodes, list_shards(episodes)[-1])
        first = [
            ("sync", str(shard.with_name(f".partial-{shard.name}"))),
            ("name", str(shard)),
            ("sync", str(shard.parent)),
        ]
        if step == 1:
            first += [("sync", str(folder)) for folder in (episodes, tmp_path / "x")]
        assert [event for event in events if event in first] == first
        naming = next(
            n for n, (_, path) in enumerate(events) if path.endswith("/replay-rank0.safetensors")
        )
        assert max(map(events.index, first)) < naming
    # The learner waits for the disk only where it waits for the shards anyway.
    assert in_threads == {"episode writer"}


def test_a_folder_that_cannot_be_synced_costs_no_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(folder))

    learner = start(tmp_path / "x", BOARD)
    insert(learner, 4)
    with monkeypatch.context() as disk:
        disk.setattr(episode_store, "sync_folder", full)
        assert "Input/output error" in (save(learner, 1) or "")
    assert list_shards(tmp_path / "x" / "episodes") == []
    assert save(learner, 2) is None
    assert_resumes_with_all(tmp_path / "x", learner)


def test_samples_of_a_shard_that_a_full_disk_cost_are_written_with_the_next_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_full = False

    def write(path: Path, shard: Any) -> int:
        if is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write_shard(path, shard)

    monkeypatch.setattr(episode_store, "write_shard", write)
    learner = start(tmp_path / "x", BOARD)
    insert(learner, 4)
    assert save(learner, 1) is None
    is_full = True
    insert(learner, 4)
    error = save(learner, 2)
    assert error is not None and "No space left on device" in error
    is_full = False
    assert save(learner, 3) is None
    assert_resumes_with_all(tmp_path / "x", learner)


def test_the_disk_is_bounded_and_a_kept_checkpoint_keeps_its_shards(tmp_path: Path) -> None:
    settings = ("store.keep=0", "checkpoint.keep_last=2", "replay.capacity=25")
    learner = start(tmp_path / "x", BOARD, *settings)
    for step in range(1, 9):
        insert(learner, 4)
        assert save(learner, step) is None
    kept = [key.number for key in list_shards(tmp_path / "x" / "episodes")]
    # 25 samples are in the last two shards of 20, and so are those of the checkpoint before.
    assert kept == [5, 6, 7]
    assert_resumes_with_all(tmp_path / "x", learner, *settings)


def test_a_shard_that_is_missing_costs_only_its_samples(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    learner = start(tmp_path / "x", BOARD)
    for step in (1, 2):
        insert(learner, 4)
        save(learner, step)
    key = list_shards(tmp_path / "x" / "episodes")[0]
    shard_path(tmp_path / "x" / "episodes", key).unlink()
    resumed = start(tmp_path / "x", BOARD)
    assert resumed.parts.buffer.num_samples == 20
    assert resumed.state.counters.learner_step == 2
    assert "20 samples of the replay buffer are lost: shard 0 of rank 0: " in caplog.text
