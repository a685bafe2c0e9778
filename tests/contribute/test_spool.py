"""A contributor's games on their way to the server: none is lost, and none is sent in two batches, after any kill."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ddpzero.contribute.spool import Spool
from ddpzero.replay import Episode
from ddpzero.run.shard import read_shard
from tests.serve.material import material

DESCRIPTION = {"run": "t", "config": {}}


def moves_in(paths) -> list[list[int]]:
    return [e.info["moves"] for path in paths for e in read_shard(path).episodes]


def games_in(folder: Path) -> list[list[int]]:
    return sorted(moves_in(folder.glob("*/*.npz")))


def test_games_are_on_disk_at_once_and_become_batches(tmp_path):
    episodes = material().episodes
    spool = Spool(tmp_path, DESCRIPTION)
    spool.add(episodes[:3], "m1")
    assert moves_in((tmp_path / "finished").glob("*.npz")) == [
        episode.info["moves"] for episode in episodes[:3]
    ]
    spool.make_batches(5, 100, 1 << 20)
    assert spool.batches == [] and spool.num_finished == 3
    spool.add(episodes[3:8], "m2")
    spool.make_batches(5, 100, 1 << 20)
    (batch,) = spool.batches
    assert (batch.model, batch.num_games) == ("m2", 8)
    assert moves_in([batch.path]) == [episode.info["moves"] for episode in episodes[:8]]
    spool.add(episodes[8:9], "m2")
    spool.make_batches(5, 100, 1 << 20, is_last=True)
    assert [batch.num_games for batch in spool.batches] == [8, 1]
    spool.remove(spool.batches[0])
    spool.refuse(spool.batches[0])
    assert spool.batches == [] and len(list((tmp_path / "refused").iterdir())) == 1


@pytest.mark.parametrize("kill_after", ["batch is written", "one part is removed"])
def test_a_kill_while_a_batch_is_made_loses_and_repeats_nothing(tmp_path, kill_after, monkeypatch):
    episodes = material().episodes
    spool = Spool(tmp_path, DESCRIPTION)
    for start in (0, 3):
        spool.add(episodes[start : start + 3], "m")
    expected = games_in(tmp_path)

    class Killed(BaseException):
        pass

    removed = []
    unlink = Path.unlink

    def killed(path: Path, missing_ok: bool = False) -> None:
        if len(removed) == (kill_after == "one part is removed"):
            raise Killed
        removed.append(path)
        unlink(path, missing_ok)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Path, "unlink", killed)
        spool.make_batches(6, 100, 1 << 20)
    again = Spool(tmp_path, DESCRIPTION)
    assert games_in(tmp_path) == expected
    assert [batch.num_games for batch in again.batches] == [6] and again.num_finished == 0
    # New games, whose files must not be taken for parts of the batch that is still there.
    again.add(episodes[6:8], "m")
    third = Spool(tmp_path, DESCRIPTION)
    assert third.num_finished == 2 and len(third.batches) == 1


def test_a_damaged_file_is_set_aside(tmp_path):
    spool = Spool(tmp_path, DESCRIPTION)
    spool.add(material().episodes[:2], "m")
    (path,) = (tmp_path / "finished").glob("*.npz")
    damaged = path.with_name("00000001-x.npz")
    damaged.write_bytes(path.read_bytes()[:50])
    shutil.copy(damaged, tmp_path / "batches" / "y.npz")
    again = Spool(tmp_path, DESCRIPTION)
    assert again.num_finished == 2 and again.batches == []
    assert len(list((tmp_path / "refused").iterdir())) == 2


def test_games_that_the_server_does_not_take_in_time_become_fewer_and_larger_batches(tmp_path):
    spool = Spool(tmp_path, DESCRIPTION)
    for _ in range(10):
        spool.add(material().episodes, "m")
        spool.make_batches(10, 100, 1 << 20)
    assert [batch.num_games for batch in spool.batches] == [24, 24, 24]
    for batch in spool.batches:
        spool.remove(batch)
    spool.make_batches(10, 100, 1 << 20)
    assert [batch.num_games for batch in spool.batches] == [96, 72]
    assert spool.num_finished == 0 and spool.size_bytes > 0


def games_of_size(num_cells: int, num_games: int) -> list[Episode]:
    """Return games of some board, of two moves each."""
    return [
        Episode({"observation": np.full((2, num_cells), number, np.int8)}, {"moves": [number, 0]})
        for number in range(num_games)
    ]


def test_games_of_several_runs_are_never_in_one_batch(tmp_path):
    descriptions = [{"run": "t", "config": {"size": size}} for size in (9, 42)]
    first = Spool(tmp_path, descriptions[0])
    first.add(games_of_size(9, 3), "a")
    first.make_batches(5, 100, 1 << 20)
    assert first.batches == []
    second = Spool(tmp_path, descriptions[1])
    second.add(games_of_size(42, 4), "b")
    # There will be no more games of the first run; those of the second are too few.
    second.make_batches(5, 100, 1 << 20)
    assert [(batch.model, batch.num_games) for batch in second.batches] == [("a", 3)]
    second.add(games_of_size(42, 1), "b")
    second.make_batches(5, 100, 1 << 20)
    assert [(batch.model, batch.num_games) for batch in second.batches] == [("a", 3), ("b", 5)]
    for batch, description, size in zip(second.batches, descriptions, (9, 42), strict=True):
        shard = read_shard(batch.path)
        assert shard.columns["observation"].shape[1] == size
        assert {name: shard.description[name] for name in description} == description
    again = Spool(tmp_path, descriptions[0])
    assert [batch.num_games for batch in again.batches] == [3, 5] and again.num_finished == 0


def test_games_of_the_same_run_are_sent_together_after_a_start(tmp_path):
    for _ in range(2):
        Spool(tmp_path, DESCRIPTION).add(games_of_size(9, 3), "m")
    spool = Spool(tmp_path, DESCRIPTION)
    spool.make_batches(5, 100, 1 << 20)
    assert [batch.num_games for batch in spool.batches] == [6]


def test_refused_games_count_for_the_space_of_waiting_ones_also_after_a_start(tmp_path):
    spool = Spool(tmp_path, DESCRIPTION)
    spool.add(games_of_size(9, 5), "m")
    spool.make_batches(5, 100, 1 << 20)
    size_bytes = spool.size_bytes
    assert size_bytes > 0 and spool.refused_bytes == 0
    spool.refuse(spool.batches[0])
    assert spool.size_bytes == spool.refused_bytes == size_bytes
    again = Spool(tmp_path, DESCRIPTION)
    assert again.size_bytes == again.refused_bytes == size_bytes
