"""Training on stored games: which samples are taken, in which shares, and without actors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.replay import Episode, ReplayBuffer, SampleSpec
from ddpzero.run.episode_store import EpisodeStore
from ddpzero.settings import DataSettings, GameSettings
from ddpzero.system.errors import UserError
from ddpzero.training.batches import BatchFeeder
from ddpzero.training.stored_source import NO_VERSION, StoredSamples, find_sources, load_stored
from tests.replay.test_buffer import SPEC as NUMBERED
from tests.replay.test_buffer import samples as numbered

SPEC: SampleSpec = {**NUMBERED, "weights_version": NUMBERED["number"]}
GAME = GameSettings("tic_tac_toe")


def samples(start: int, stop: int) -> dict[str, np.ndarray]:
    columns = numbered(start, stop)
    return {**columns, "weights_version": np.full_like(columns["number"], 9)}


def stored_run(folder: Path, num_shards: int = 4, game: str = "tic_tac_toe") -> Path:
    """A run with shards of five games with two samples each, numbered from the oldest on."""
    description = {"config": {"game": {"name": game, "size": 9}}}
    with EpisodeStore(folder / "episodes", 0, description) as store:
        for shard in range(num_shards):
            for first in range(10 * shard, 10 * shard + 10, 2):
                store.add(Episode(samples(first, first + 2), {}), is_held_out=False)
            store.flush()
    for age, path in enumerate(sorted(folder.glob("episodes/rank0/*.npz"))):
        os.utime(path, (age, age))
    return folder


def load(paths: list[Path], **options) -> StoredSamples:
    usual = {"max_samples": 1000, "holdout_fraction": 0.0, "rank": 0, "world_size": 1}
    return load_stored(paths, SPEC, GAME, **{**usual, **options})


def numbers_in(stored: StoredSamples, is_held_out: bool = False) -> set[int]:
    return set(stored.sample(1000, seed=0, is_held_out=is_held_out)["number"].tolist())


def test_the_newest_samples_are_taken_and_ranks_share_them(tmp_path):
    paths = find_sources([str(stored_run(tmp_path / "x"))], tmp_path)
    assert numbers_in(load(paths)) == set(range(40))
    assert numbers_in(load(paths, max_samples=20)) == set(range(20, 40))
    shares = [numbers_in(load(paths, rank=rank, world_size=2)) for rank in range(2)]
    assert shares[0] | shares[1] == set(range(40))
    assert not shares[0] & shares[1]
    with pytest.raises(UserError, match="no usable file of stored games for rank 4"):
        load(paths, rank=4, world_size=5)


def test_whole_games_are_held_out(tmp_path):
    paths = find_sources([str(stored_run(tmp_path / "x", num_shards=10))], tmp_path)
    stored = load(paths, holdout_fraction=0.3)
    trained, held_out = numbers_in(stored), numbers_in(stored, is_held_out=True)
    assert not trained & held_out
    assert trained | held_out == set(range(100))
    assert {number ^ 1 for number in held_out} == held_out
    assert 5 < len(held_out) < 60
    assert not load(paths).has_held_out


def test_games_of_another_game_and_damaged_files_are_left_out(tmp_path, caplog):
    other = stored_run(tmp_path / "other", num_shards=2, game="hex")
    own = stored_run(tmp_path / "own", num_shards=3)
    (own / "episodes" / "rank0" / "00000001.npz").write_bytes(b"no archive")
    stored = load(find_sources([str(own), str(other)], tmp_path))
    assert numbers_in(stored) == {*range(10), *range(20, 30)}
    assert "stored games are left out: " in caplog.text
    assert "(2 more files are unusable, too)" in caplog.text
    with pytest.raises(UserError, match="games of another game or on another board"):
        load(find_sources([str(other)], tmp_path))


@pytest.mark.parametrize(
    ("parameters", "fits"),
    [({"size": 9}, True), ({"size": 7}, False), ({"of_now": 1}, True), ({"max_plies": 3}, True)],
)
def test_games_on_another_board_are_left_out(tmp_path, parameters, fits):
    paths = find_sources([str(stored_run(tmp_path / "x"))], tmp_path)
    game = GameSettings("tic_tac_toe", parameters=parameters)
    options = {"max_samples": 99, "holdout_fraction": 0.0, "rank": 0, "world_size": 1}
    if fits:
        assert load_stored(paths, SPEC, game, **options).num_samples == 40
    else:
        with pytest.raises(UserError, match="on another board"):
            load_stored(paths, SPEC, game, **options)


def test_a_source_without_games_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"data\.sources=.*empty has no stored games"):
        find_sources([str(tmp_path / "empty")], tmp_path)
    with pytest.raises(UserError, match=r"data\.sources=nothing is neither a run nor a folder"):
        find_sources(["nothing"], tmp_path)


def feeder(stored: StoredSamples, num_stored: int) -> BatchFeeder:
    buffer = ReplayBuffer(SPEC, 100, seed=1)
    buffer.add(samples(1000, 1050))
    return BatchFeeder(buffer, 16, torch.device("cpu"), stored, num_stored, seed=5)


def test_a_batch_has_the_given_share_of_stored_samples(tmp_path):
    stored = load(find_sources([str(stored_run(tmp_path / "x"))], tmp_path))
    for num_stored in (0, 4, 16):
        batch = feeder(stored, num_stored).take() if num_stored else None
        if batch is not None:
            assert int((batch["number"] < 1000).sum()) == num_stored
            assert (batch["weights_version"] == NO_VERSION).tolist() == (
                batch["number"] < 1000
            ).tolist()


def test_a_resumed_run_chooses_the_same_stored_samples(tmp_path):
    stored = load(find_sources([str(stored_run(tmp_path / "x"))], tmp_path))
    straight = feeder(stored, 16)
    batches = [straight.take()["number"].tolist() for _ in range(5)]
    assert len({tuple(batch) for batch in batches}) == 5
    resumed = feeder(stored, 16)
    resumed.begin_at(3)
    assert resumed.take()["number"].tolist() == batches[3]


def test_shares_are_divided_among_the_rows_of_a_batch():
    assert DataSettings().rows_of_self_play(64) == 64
    assert DataSettings(("self_play", "x")).rows_of_self_play(64) == 32
    assert DataSettings(("x", "self_play"), (3, 1)).rows_of_self_play(64) == 16
    assert DataSettings(("x", "y")).rows_of_self_play(64) == 0
    assert DataSettings(("self_play", "x"), (1, 1e9)).rows_of_self_play(64) == 1
    for sources, shares in [((), ()), (("x", "x"), ()), (("x",), (1.0, 2.0)), (("x",), (0.0,))]:
        with pytest.raises(UserError, match=r"data\.(sources|shares)="):
            DataSettings(sources, shares)


def test_rounds_need_games_of_their_own():
    with pytest.raises(UserError, match=r"add self_play, or use schedule=concurrent"):
        compose_settings(["data.sources=[x]", "learner.schedule=rounds"])
    settings = compose_settings(["data.sources=[self_play,x]", "data.shares=[3,1]"])
    assert settings_to_dict(settings)["data"] == {
        "sources": ["self_play", "x"],
        "shares": [3.0, 1.0],
    }
