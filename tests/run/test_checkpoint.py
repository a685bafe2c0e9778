"""Checkpoints restore everything, bit by bit; damaged and forged ones are told and passed over."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddpzero.run import checkpoint, checkpoint_files
from ddpzero.run.checkpoint import Checkpoints
from ddpzero.run.checkpoint_content import load_weights
from ddpzero.run.checkpoint_files import (
    FileRecord,
    read_manifest,
    write_arrays,
    write_manifest,
)
from ddpzero.run.random_state import random_state, restore_random_state
from ddpzero.run.ranks import Ranks
from ddpzero.system.errors import UserError
from ddpzero.system.guarded_files import map_arrays
from tests.run.checkpointed_runs import (
    SPEC,
    filled_buffer,
    names,
    restored_step,
    saved_run,
    snapshot,
    truncate,
)
from tests.training.whole_runs import latest_checkpoint

# ------------------------------------------------------------------ what is kept


def test_a_new_run_has_nothing_to_restore(tmp_path: Path, alone: Ranks) -> None:
    assert Checkpoints(tmp_path, alone, 3).restore() is None
    assert latest_checkpoint(tmp_path) is None


def test_everything_comes_back_bit_by_bit(tmp_path: Path, alone: Ranks) -> None:
    buffer, generator = filled_buffer(200), np.random.default_rng(5)
    buffer.sample(8)
    torch.manual_seed(3)
    content = snapshot(7, buffer, rank_state=random_state(moves=generator))
    Checkpoints(tmp_path, alone, 3).save(content)
    drawn = (buffer.sample(16), torch.rand(4), generator.random(4))

    restored = Checkpoints(tmp_path, alone, 3).restore()
    assert restored is not None and restored.rank_state is not None
    assert restored.model == "run-b1c8-s224-d10"
    assert restored.counters == content.counters
    assert restored.config == content.config
    assert torch.equal(restored.weights["conv.weight"], content.weights["conv.weight"])
    assert restored.trainer["note"] == "x"
    (moment,) = restored.trainer["optimizer"]["state"]
    assert torch.equal(moment, torch.full((4,), 1.0))
    other, other_generator = filled_buffer(1, seed=9), np.random.default_rng(6)
    columns = {
        name: column
        for name, column in filled_buffer(200).read(np.arange(200)).items()
        if name in SPEC
    }
    other.restore_from_shards(restored.replay, lambda key: columns)
    restore_random_state(restored.rank_state, moves=other_generator)
    again = (other.sample(16), torch.rand(4), other_generator.random(4))
    assert all(np.array_equal(drawn[0][name], again[0][name]) for name in SPEC)
    assert torch.equal(drawn[1], again[1])
    assert np.array_equal(drawn[2], again[2])


def test_the_newest_is_found_by_its_counters_not_by_time_or_name(
    tmp_path: Path, alone: Ranks
) -> None:
    saved_run(tmp_path, alone, 9, 10)
    os.utime(
        tmp_path / "checkpoints" / "run-b1c8-s288-d10"
    )  # step 9: "s288" sorts behind "s320", too
    os.utime(tmp_path / "checkpoints" / "run-b1c8-s288-d10" / "manifest.json")
    assert restored_step(tmp_path, alone) == 10
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "run-b1c8-s320-d10"


def test_only_the_last_ones_are_kept(tmp_path: Path, alone: Ranks) -> None:
    saved_run(tmp_path, alone, 1, 2, 3, 4, keep_last=2)
    assert names(tmp_path) == ["run-b1c8-s128-d10", "run-b1c8-s96-d10"]


def test_a_copy_under_another_name_is_never_removed(tmp_path: Path, alone: Ranks) -> None:
    checkpoints = saved_run(tmp_path, alone, 1, keep_last=1)
    shutil.copytree(
        tmp_path / "checkpoints" / "run-b1c8-s32-d10", tmp_path / "checkpoints" / "best"
    )
    checkpoints.save(snapshot(2))
    assert names(tmp_path) == ["best", "run-b1c8-s64-d10"]


def test_nothing_new_is_not_saved_again(tmp_path: Path, alone: Ranks) -> None:
    checkpoints = saved_run(tmp_path, alone, 1)
    before = (tmp_path / "checkpoints" / "run-b1c8-s32-d10").stat().st_ino
    assert checkpoints.save(snapshot(1)) is not None
    assert (tmp_path / "checkpoints" / "run-b1c8-s32-d10").stat().st_ino == before


def test_arrays_of_every_type_and_of_no_length_come_back(tmp_path: Path) -> None:
    arrays = {
        f"{dtype}": np.arange(6).reshape(2, 3).astype(dtype)
        for dtype in ("bool", "uint8", "int16", "int32", "int64", "float16", "float32", "float64")
    }
    arrays |= {"empty": np.zeros((0, 7), np.float32), "strided": np.arange(10, dtype=np.int8)[::3]}
    write_arrays(tmp_path / "a.safetensors", arrays)
    mapped = map_arrays(tmp_path / "a.safetensors")
    assert list(mapped) == list(arrays)
    for name, array in arrays.items():
        assert mapped[name].dtype == array.dtype
        assert np.array_equal(mapped[name], array)


def test_replay_files_are_plain_safetensors(tmp_path: Path, alone: Ranks) -> None:
    from safetensors.numpy import load_file

    saved_run(tmp_path, alone, 1)
    arrays = load_file(tmp_path / "checkpoints" / "run-b1c8-s32-d10" / "replay-rank0.safetensors")
    assert (arrays["run_starts"].tolist(), arrays["run_lengths"].tolist()) == ([0], [10])


# -------------------------------------------------------------- truncated, corrupted


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


FILES = (
    "manifest.json",
    "weights.safetensors",
    "trainer.pt",
    "replay-rank0.safetensors",
    "rank0.json",
    "config.yaml",
)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", [truncate, flip_a_bit, Path.unlink])
def test_a_damaged_newest_is_reported_and_the_one_before_is_used(
    tmp_path: Path,
    alone: Ranks,
    caplog: pytest.LogCaptureFixture,
    file: str,
    damage: Callable[[Path], None],
) -> None:
    saved_run(tmp_path, alone, 1, 2)
    damage(tmp_path / "checkpoints" / "run-b1c8-s64-d10" / file)
    assert restored_step(tmp_path, alone) == 1
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "run-b1c8-s64-d10" in record.getMessage() and file in record.getMessage()


def test_a_run_in_which_everything_is_damaged_does_not_start_anew_by_itself(
    tmp_path: Path, alone: Ranks
) -> None:
    saved_run(tmp_path, alone, 1)
    truncate(tmp_path / "checkpoints" / "run-b1c8-s32-d10" / "trainer.pt")
    with pytest.raises(UserError, match="contains no usable checkpoint"):
        Checkpoints(tmp_path, alone, 3).restore()


def test_a_run_that_resumed_from_an_older_one_replaces_the_damaged_future(
    tmp_path: Path, alone: Ranks
) -> None:
    saved_run(tmp_path, alone, 1, 2, 3)
    flip_a_bit(tmp_path / "checkpoints" / "run-b1c8-s96-d10" / "trainer.pt")
    checkpoints = Checkpoints(tmp_path, alone, keep_last=2)
    restored = checkpoints.restore()
    assert restored is not None and restored.counters["learner_step"] == 2
    assert checkpoints.save(snapshot(3)) is not None  # the same name
    assert restored_step(tmp_path, alone) == 3
    assert names(tmp_path) == [".passed-over", "run-b1c8-s64-d10", "run-b1c8-s96-d10"]
    assert os.listdir(tmp_path / "checkpoints" / ".passed-over") == ["run-b1c8-s96-d10"]


def test_what_lies_ahead_of_the_last_save_is_set_aside_and_never_counts_as_kept(
    tmp_path: Path, alone: Ranks, caplog: pytest.LogCaptureFixture
) -> None:
    saved_run(tmp_path, alone, 1, 5)
    flip_a_bit(tmp_path / "checkpoints" / "run-b1c8-s160-d10" / "trainer.pt")
    checkpoints = Checkpoints(tmp_path, alone, keep_last=1)
    checkpoints.restore()
    before = (tmp_path / "checkpoints" / "run-b1c8-s160-d10" / "weights.safetensors").read_bytes()
    checkpoints.save(snapshot(2))
    assert names(tmp_path) == [".passed-over", "run-b1c8-s32-d10", "run-b1c8-s64-d10"]
    aside = tmp_path / "checkpoints" / ".passed-over" / "run-b1c8-s160-d10"
    assert (aside / "weights.safetensors").read_bytes() == before
    assert str(aside) in caplog.text
    assert restored_step(tmp_path, alone) == 2


def test_what_the_process_resumed_from_stays_until_the_next_one_resumes_from_a_later_one(
    tmp_path: Path, alone: Ranks
) -> None:
    saved_run(tmp_path, alone, 1, keep_last=1)
    resumed = Checkpoints(tmp_path, alone, keep_last=1)
    resumed.restore()
    for step in (2, 3, 4):
        resumed.save(snapshot(step))
    assert names(tmp_path) == ["run-b1c8-s128-d10", "run-b1c8-s32-d10"]

    again = Checkpoints(tmp_path, alone, keep_last=1)
    again.restore()
    again.save(snapshot(5))
    assert names(tmp_path) == ["run-b1c8-s128-d10", "run-b1c8-s160-d10"]


def test_a_checkpoint_of_a_later_format_is_passed_over_with_its_version(
    tmp_path: Path, alone: Ranks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved_run(tmp_path, alone, 1)
    with monkeypatch.context() as later:
        later.setattr(checkpoint_files, "FORMAT", checkpoint_files.FORMAT + 1)
        saved_run(tmp_path, alone, 2)
    assert restored_step(tmp_path, alone) == 1
    assert "has format 3" in caplog.text


# ------------------------------------------------------------------------- forged


class Bomb:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


def forge(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and seal the checkpoint again, as an attacker would."""
    (folder / name).write_bytes(content)
    manifest = read_manifest(folder)
    manifest.files[name] = FileRecord(len(content), zlib.crc32(content))
    write_manifest(folder, manifest)


@pytest.mark.parametrize("name", ["trainer.pt", "replay-rank0.safetensors", "weights.safetensors"])
def test_a_pickle_in_place_of_a_file_is_refused_and_not_run(
    tmp_path: Path, alone: Ranks, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    saved_run(tmp_path, alone, 1, 2)
    newest = tmp_path / "checkpoints" / "run-b1c8-s64-d10"
    if name == "trainer.pt":
        torch.save(Bomb(tmp_path / "boom"), newest / name)
        forge(newest, name, (newest / name).read_bytes())
    else:
        forge(newest, name, pickle.dumps(Bomb(tmp_path / "boom")))
    assert restored_step(tmp_path, alone) == 1
    assert f"{name} cannot be read: it " in caplog.text
    assert not (tmp_path / "boom").exists()


def test_a_trainer_state_that_could_not_be_read_again_fails_at_the_first_save(
    tmp_path: Path, alone: Ranks
) -> None:
    checkpoints = Checkpoints(tmp_path, alone, 3)
    for value in (Path("x"), np.float64(1.0), {1}):
        with pytest.raises(RuntimeError, match=r"the algorithm's state\(\) contains a"):
            checkpoints.save(snapshot(1, trainer={"key": [value]}))
    assert latest_checkpoint(tmp_path) is None


# ------------------------------------------------------------------------- players


def test_a_player_gets_weights_and_config_of_the_newest(tmp_path: Path, alone: Ranks) -> None:
    saved_run(tmp_path, alone, 1, 2)
    for path in (tmp_path, str(tmp_path / "checkpoints" / "run-b1c8-s64-d10")):
        released = load_weights(path)
        assert released.model == "run-b1c8-s64-d10"
        assert released.weights["conv.weight"].flatten().tolist() == 6 * [2.0]
        assert released.config["network"]["blocks"] == 1
        assert released.counters["learner_step"] == 2


def test_a_player_does_not_mind_a_damaged_replay_file(tmp_path: Path, alone: Ranks) -> None:
    saved_run(tmp_path, alone, 1, 2)
    truncate(tmp_path / "checkpoints" / "run-b1c8-s64-d10" / "replay-rank0.safetensors")
    assert load_weights(tmp_path).counters["learner_step"] == 2


def test_a_player_never_plays_with_damaged_weights(
    tmp_path: Path, alone: Ranks, caplog: pytest.LogCaptureFixture
) -> None:
    saved_run(tmp_path, alone, 1, 2)
    newest = tmp_path / "checkpoints" / "run-b1c8-s64-d10"
    flip_a_bit(newest / "weights.safetensors")
    assert load_weights(tmp_path).counters["learner_step"] == 1
    assert "weights.safetensors does not match its checksum" in caplog.text
    with pytest.raises(UserError, match="no usable checkpoint"):
        load_weights(newest)


def test_a_player_is_told_what_a_folder_lacks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither a checkpoint .* nor a run with checkpoints"):
        load_weights(tmp_path)


def test_a_manifest_is_json_that_people_can_read(tmp_path: Path, alone: Ranks) -> None:
    saved_run(tmp_path, alone, 1)
    path = tmp_path / "checkpoints" / "run-b1c8-s32-d10" / "manifest.json"
    content = json.loads(path.read_text())["content"]
    assert content["counters"] == {"learner_step": 1, "samples": 10}
    assert content["world_size"] == 1
    assert set(content["files"]) == set(FILES) - {"manifest.json"}
    assert set(content["versions"]) == {"ddpzero", "numpy", "python", "torch"}


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path, alone: Ranks) -> None:
    checkpoints = saved_run(tmp_path, alone, 1)
    bad = {"conv.weight": torch.tensor([1.0, torch.nan])}
    assert checkpoints.save(snapshot(2, weights=bad)) is None
    assert "conv.weight is not finite" in str(checkpoints.last_error)
    trainer = {"optimizers": [{"state": {0: {"exp_avg": torch.tensor([torch.inf])}}}]}
    assert checkpoints.save(snapshot(3, trainer=trainer)) is None
    assert "optimizers[0].state.0.exp_avg is not finite" in str(checkpoints.last_error)
    assert restored_step(tmp_path, alone) == 1


def save_unchecked(run_dir: Path, ranks: Ranks, monkeypatch, step: int, **changes: Any) -> None:
    """As an older version saved it."""
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "check_sane", lambda *_: None)
        assert Checkpoints(run_dir, ranks, 10).save(snapshot(step, **changes)) is not None


@pytest.mark.parametrize("part", ["weights", "trainer"])
def test_a_checkpoint_that_is_not_finite_is_passed_over_with_the_reason(
    tmp_path: Path, alone: Ranks, monkeypatch, caplog, part: str
) -> None:
    saved_run(tmp_path, alone, 1)
    bad = {"conv.weight": torch.full((2, 3), torch.nan)}
    save_unchecked(tmp_path, alone, monkeypatch, 2, **{part: bad})
    with caplog.at_level(logging.WARNING):
        assert restored_step(tmp_path, alone) == 1
    assert "comes from a training that has diverged: conv.weight is not finite" in caplog.text


def test_a_player_never_plays_with_weights_that_are_not_finite(
    tmp_path: Path, alone: Ranks, monkeypatch
) -> None:
    bad = {"conv.weight": torch.full((2, 3), -torch.inf)}
    save_unchecked(tmp_path, alone, monkeypatch, 2, weights=bad)
    with pytest.raises(UserError, match=r"no usable checkpoint.*conv\.weight is not finite"):
        load_weights(tmp_path)
    saved_run(tmp_path, alone, 1)
    assert load_weights(tmp_path).counters["learner_step"] == 1
