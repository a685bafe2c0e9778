"""Finished episodes on disk: whole files, in their order, in bounded space; a full disk loses no sample."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpzero.replay import Episode
from ddpzero.replay.buffer import HELD_OUT
from ddpzero.replay.origin import NOWHERE, ShardKey
from ddpzero.run import episode_store
from ddpzero.run.episode_store import EpisodeStore, remove_surplus
from ddpzero.run.shard import list_shards, read_shard, shard_path, write_shard
from ddpzero.system.guarded_files import UnreadableFileError


def episode(number: int, num_samples: int = 3, **info: Any) -> Episode:
    """An episode that can be told from all others."""
    columns = {
        "planes": np.full((num_samples, 4), number % 256, np.uint8),
        "weights_version": np.full(num_samples, number, np.int32),
    }
    return Episode(columns, {"number": number, "moves": [number, 1, 2], **info})


def numbers_on_disk(folder: Path) -> list[int]:
    shards = [read_shard(shard_path(folder, key)) for key in list_shards(folder)]
    return [each.info["number"] for shard in shards for each in shard.episodes]


def test_episodes_come_back_as_they_were(tmp_path):
    with EpisodeStore(tmp_path, 3, {"run": "x", "game": "y"}) as store:
        store.model = "x-s0-d0"
        first = store.add(episode(1, note="ä", score=None), is_held_out=False)
        store.model = "x-s1-d1"
        store.add(episode(2, num_samples=0), is_held_out=False)
        third = store.add(episode(3, num_samples=5), is_held_out=True)
    (key,) = list_shards(tmp_path)
    assert key == ShardKey(3, 0)
    assert (first, third) == (key.origin(0), key.origin(3))
    shard = read_shard(shard_path(tmp_path, key))
    assert [e.info for e in shard.episodes] == [
        {"number": 1, "moves": [1, 1, 2], "note": "ä", "score": None},
        {"number": 2, "moves": [2, 1, 2]},
        {"number": 3, "moves": [3, 1, 2]},
    ]
    assert [e.model for e in shard.episodes] == ["x-s0-d0", "x-s1-d1", "x-s1-d1"]
    assert [(e.rows.start, e.rows.stop) for e in shard.episodes] == [(0, 3), (3, 3), (3, 8)]
    assert shard.columns["weights_version"].tolist() == [1, 1, 1, 3, 3, 3, 3, 3]
    assert shard.columns["planes"].shape == (8, 4)
    assert shard.columns[HELD_OUT].tolist() == 3 * [False] + 5 * [True]
    assert (shard.description["run"], shard.description["rank"]) == ("x", 3)


def test_shards_are_bounded_and_numbers_go_on_after_a_restart(tmp_path, monkeypatch):
    monkeypatch.setattr(episode_store, "_SHARD_BYTES", 100)
    for start in (0, 40):
        with EpisodeStore(tmp_path, 0, {}) as store:
            for number in range(start, start + 40):
                store.add(episode(number), is_held_out=False)
    keys = list_shards(tmp_path)
    assert [key.number for key in keys] == [*range(len(keys))]
    assert len(keys) >= 10
    assert numbers_on_disk(tmp_path) == [*range(80)]


def test_samples_without_episodes_are_stored_too(tmp_path):
    with EpisodeStore(tmp_path, 0, {}) as store:
        store.add(episode(1), is_held_out=False)
        origin = store.add_samples(episode(7, num_samples=4).columns, np.arange(4) > 1)
    assert origin == ShardKey(0, 1).origin(0)
    shard = read_shard(shard_path(tmp_path, ShardKey(0, 1)))
    assert shard.episodes == []
    assert shard.columns[HELD_OUT].tolist() == [False, False, True, True]


def test_a_full_disk_is_told_by_flush_and_names_what_is_lost(tmp_path, monkeypatch):
    is_full = True

    def write(path, shard):
        if is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write_shard(path, shard)

    monkeypatch.setattr(episode_store, "write_shard", write)
    with EpisodeStore(tmp_path, 0, {}) as store:
        store.add(episode(1), is_held_out=False)
        with pytest.raises(OSError, match="No space left"):
            store.flush()
        assert store.take_lost() == [ShardKey(0, 0)]
        is_full = False
        assert store.add(episode(2), is_held_out=False) == ShardKey(0, 1).origin(0)
        store.flush()
        assert store.take_lost() == []
    assert numbers_on_disk(tmp_path) == [2]


def test_a_slow_disk_does_not_stall_or_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(episode_store, "_SHARD_BYTES", 1)
    is_open = False

    def write(path, shard):
        while not is_open:
            time.sleep(0.01)
        return write_shard(path, shard)

    monkeypatch.setattr(episode_store, "write_shard", write)
    with EpisodeStore(tmp_path, 0, {}) as store:
        origins = [store.add(episode(number), is_held_out=False) for number in range(20)]
        is_open = True
    assert origins.count(NOWHERE) == store.num_dropped == 12
    assert numbers_on_disk(tmp_path) == [*range(8)]


def test_a_writer_that_cannot_start_is_told_and_tried_again(tmp_path, monkeypatch):
    def no_thread(self):
        raise RuntimeError("can't start new thread")

    store = EpisodeStore(tmp_path, 0, {"run": "x", "game": "y"})
    store.add(episode(1), is_held_out=False)
    with monkeypatch.context() as system:
        system.setattr(episode_store.threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            store.flush()
    store.flush()
    assert numbers_on_disk(tmp_path) == [1]


def test_the_oldest_shards_are_removed_but_none_that_a_checkpoint_may_need(tmp_path):
    for rank in (0, 1):
        with EpisodeStore(tmp_path, rank, {}) as store:
            for number in range(6):
                store.add(episode(number), is_held_out=False)
                store.flush()
    for age, key in enumerate(sorted(list_shards(tmp_path), key=lambda key: key.number)):
        os.utime(shard_path(tmp_path, key), (age, age))
    size = shard_path(tmp_path, ShardKey(0, 0)).stat().st_size
    needed = {ShardKey(0, 1), ShardKey(0, 3), ShardKey(1, 2)}
    remove_surplus(tmp_path, 100 * size, needed, num_ranks=2)
    assert len(list_shards(tmp_path)) == 12
    remove_surplus(tmp_path, 10.5 * size, needed, num_ranks=2)
    assert len(list_shards(tmp_path)) == 10
    remove_surplus(tmp_path, 0, needed, num_ranks=2)
    assert [key.number for key in list_shards(tmp_path, 0)] == [1, 3, 4, 5]
    assert [key.number for key in list_shards(tmp_path, 1)] == [2, 3, 4, 5]
    remove_surplus(tmp_path, 0, set(), num_ranks=2)
    assert len(list_shards(tmp_path)) == 8
    # The run goes on with one rank.
    remove_surplus(tmp_path, 0, {ShardKey(1, 3)}, num_ranks=1)
    assert [key.number for key in list_shards(tmp_path, 0)] == [1, 3, 4, 5]
    assert [key.number for key in list_shards(tmp_path, 1)] == [3]


def test_shards_that_will_be_played_again_are_removed(tmp_path):
    with EpisodeStore(tmp_path, 0, {}) as store:
        for number in range(4):
            store.add(episode(number), is_held_out=False)
            store.flush()
    with EpisodeStore(tmp_path, 0, {}) as store:
        store.remove_from(2)
        assert store.add(episode(2), is_held_out=False) == ShardKey(0, 2).origin(0)
    assert numbers_on_disk(tmp_path) == [0, 1, 2]


KILLED = """
import sys
from pathlib import Path
from ddpzero.run import episode_store
from tests.run.test_episode_store import episode
episode_store._SHARD_BYTES = 2000
store = episode_store.EpisodeStore(Path(sys.argv[1]), 0, {})
number = int(sys.argv[2])
print("ready", flush=True)
while True:
    store.add(episode(number, 20), False)
    number += 1
    if number % 50 == 0:
        store.flush()
"""


def test_a_kill_at_any_moment_leaves_whole_shards(tmp_path):
    for attempt in range(5):
        words = [sys.executable, "-c", KILLED, str(tmp_path), str(attempt * 1_000_000)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.1 + 0.07 * attempt)
        process.kill()
        process.wait()
        process.stdout.close()
    numbers = numbers_on_disk(tmp_path)
    assert len(numbers) > 100
    assert len(set(numbers)) == len(numbers)
    with EpisodeStore(tmp_path, 0, {}):
        assert not list(tmp_path.glob("rank0/.partial-*"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[80] ^= 0x10
    path.write_bytes(content)


def rewritten(**changes: Any):
    def change(path: Path) -> None:
        with np.load(path) as archive:
            arrays = dict(archive)
        arrays |= {name.replace("__", "."): value for name, value in changes.items()}
        np.savez_compressed(path, **{k: v for k, v in arrays.items() if v is not None})

    return change


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        flip,
        rewritten(episode__num_samples=np.array([3, 2])),
        rewritten(episode__num_samples=np.array([7, -1])),
        rewritten(episode__num_moves=np.array([1, 1])),
        rewritten(episode__model=np.array([0, 9])),
        rewritten(episode__info=np.frombuffer(b"{}\n[", np.uint8)),
        rewritten(episode__info=np.frombuffer(b"\xff\xfe", np.uint8)),
        rewritten(description=np.frombuffer(b'{"format": 99, "models": []}', np.uint8)),
        rewritten(description=np.frombuffer(b"[]", np.uint8)),
        rewritten(description=None),
        rewritten(sample__planes=np.zeros((2, 4), np.uint8)),
        rewritten(sample__is_held_out=np.zeros(6, np.int8)),
        rewritten(sample__is_held_out=np.zeros((6, 2), np.bool_)),
        rewritten(episode__num_samples=np.array([7, 2**64 - 1], np.uint64)),
        rewritten(
            episode__num_samples=np.array([2**63 - 1, 2**63 - 1, 8]),
            episode__num_moves=np.array([3, 3, 0]),
            episode__model=np.array([0, 0, 0]),
            episode__info=np.frombuffer(b"{}\n{}\n{}", np.uint8),
        ),
        rewritten(episode__info=np.frombuffer(b'{}\n{"moves": [1]}', np.uint8)),
    ],
)
def test_a_damaged_or_forged_shard_is_refused_in_one_sentence(tmp_path, damage):
    with EpisodeStore(tmp_path, 0, {}) as store:
        store.add(episode(1), is_held_out=False)
        store.add(episode(2), is_held_out=False)
    path = shard_path(tmp_path, ShardKey(0, 0))
    assert len(read_shard(path).episodes) == 2
    damage(path)
    with pytest.raises(UnreadableFileError, match="cannot be read: it is not"):
        read_shard(path)


@pytest.mark.parametrize("name", ["description", "episode.info"])
def test_text_that_is_nested_too_deeply_is_refused_in_one_sentence(tmp_path, name):
    with EpisodeStore(tmp_path, 0, {}) as store:
        store.add(episode(1), is_held_out=False)
    path = shard_path(tmp_path, ShardKey(0, 0))
    rewritten(**{name: np.frombuffer(b"[" * 100_000, np.uint8)})(path)
    with pytest.raises(UnreadableFileError, match="nested too deeply"):
        read_shard(path)
