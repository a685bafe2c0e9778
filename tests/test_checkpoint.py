"""Checkpoints survive whatever is killed, full, truncated or forged; and they restore everything, bit by bit."""

from __future__ import annotations

import errno
import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddpzero import checkpoint_files
from ddpzero.checkpoint import Checkpoints, Snapshot, load_weights, model_name
from ddpzero.checkpoint_files import (
    FileRecord,
    latest_checkpoint,
    newest_first,
    read_arrays,
    read_manifest,
    write_arrays,
    write_manifest,
)
from ddpzero.distributed import Ranks, join_ranks
from ddpzero.replay import Field, ReplayBuffer
from ddpzero.rng import random_state, restore_random_state
from ddpzero.settings import UserError
from tests.torchrun import environment, run_ranks

SPEC = {
    "planes": Field((3,), np.dtype("uint8"), "packed planes"),
    "weights_version": Field((), np.dtype("int32"), "who played it"),
}


@pytest.fixture
def alone() -> Iterator[Ranks]:
    with join_ranks("cpu") as ranks:
        yield ranks


def filled_buffer(num_samples: int, first: int = 0, seed: int = 0) -> ReplayBuffer:
    """A buffer whose samples are numbered from `first` in weights_version."""
    buffer = ReplayBuffer(SPEC, capacity=1000, seed=seed)
    numbers = np.arange(first, first + num_samples, dtype=np.int32)
    planes = np.repeat(numbers.astype(np.uint8)[:, None], 3, axis=1)
    buffer.add({"planes": planes, "weights_version": numbers})
    return buffer


def snapshot(step: int, buffer: ReplayBuffer | None = None, **changes: Any) -> Snapshot:
    """A checkpoint's content that can be told by its step."""
    replay = (buffer or filled_buffer(10)).state()
    content = {
        "model": model_name("run", "b1c8", samples_trained=32 * step, samples_generated=10),
        "counters": {"learner_step": step, "samples": 10},
        "weights": {"conv.weight": torch.full((2, 3), float(step))},
        "trainer": {"optimizer": {"state": [torch.full((4,), step / 7)]}, "note": "x"},
        "config": {"seed": 1, "network": {"blocks": 1}},
        "replay_arrays": replay.arrays,
        "replay_meta": replay.meta,
        "rank_state": random_state(),
    }
    return Snapshot(**(content | changes))


def saved_run(run_dir: Path, ranks: Ranks, *steps: int, keep_last: int = 10) -> Checkpoints:
    checkpoints = Checkpoints(run_dir, ranks, keep_last)
    for step in steps:
        assert checkpoints.save(snapshot(step)) is not None
    return checkpoints


def restored_step(run_dir: Path, ranks: Ranks) -> int:
    restored = Checkpoints(run_dir, ranks, 10).restore()
    assert restored is not None
    assert restored.weights["conv.weight"].flatten().tolist() == 6 * [
        restored.counters["learner_step"]
    ]
    return restored.counters["learner_step"]


def names(run_dir: Path) -> list[str]:
    return sorted(path.name for path in (run_dir / "checkpoints").iterdir())


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
    assert (restored.model, restored.world_size) == ("run-b1c8-s224-d10", 1)
    assert restored.counters == content.counters
    assert restored.config == content.config
    assert torch.equal(restored.weights["conv.weight"], content.weights["conv.weight"])
    assert restored.trainer["note"] == "x"
    (moment,) = restored.trainer["optimizer"]["state"]
    assert torch.equal(moment, torch.full((4,), 1.0))
    other, other_generator = filled_buffer(1, seed=9), np.random.default_rng(6)
    other.restore(restored.replay_arrays, restored.replay_meta)
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
    mapped = read_arrays(tmp_path / "a.safetensors")
    assert list(mapped) == list(arrays)
    for name, array in arrays.items():
        assert mapped[name].dtype == array.dtype
        assert np.array_equal(mapped[name], array)


def test_replay_files_are_plain_safetensors(tmp_path: Path, alone: Ranks) -> None:
    from safetensors.numpy import load_file

    saved_run(tmp_path, alone, 1)
    arrays = load_file(tmp_path / "checkpoints" / "run-b1c8-s32-d10" / "replay-rank0.safetensors")
    assert arrays["weights_version"].tolist() == list(range(10))


# ------------------------------------------------------------ killed at any moment


KILLED_SAVE = """
import os, signal, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
from ddpzero.checkpoint import Checkpoints
from ddpzero.distributed import join_ranks
from tests.test_checkpoint import restored_step, snapshot

run_dir = Path(sys.argv[1])
events = 0
def dying_at(moment):
    def watch(event, arguments):
        global events
        # What reaches the disk: opened, made, renamed, removed.
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"):
            events += 1
            if events == moment:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)

with join_ranks("cpu") as ranks:
    first = Checkpoints(run_dir, ranks, 2)
    for step in (1, 2):
        first.save(snapshot(step))
    moment, steps_found = 0, []
    while True:
        moment += 1
        child = os.fork()
        if child == 0:  # saves a third one, which also removes the first, and dies on the way
            saving = Checkpoints(run_dir, ranks, 2)
            content = snapshot(3)
            dying_at(moment)
            saving.save(content)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        steps_found.append(restored_step(run_dir, ranks))
        if not os.WIFSIGNALED(status):
            break
        if steps_found[-1] == 3:  # died while it was tidying up: begin again from two checkpoints
            first = Checkpoints(run_dir, ranks, 1)
            for folder in (run_dir / "checkpoints").iterdir():
                for file in folder.iterdir():
                    file.unlink()
                folder.rmdir()
            for step in (1, 2):
                Checkpoints(run_dir, ranks, 2).save(snapshot(step))
print(*steps_found)
"""


def test_a_save_killed_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_SAVE, str(tmp_path / "run")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    steps = [int(word) for word in done.stdout.split()]
    # Killed before the rename: the previous one. After it: the new one. Nothing else, nothing in between.
    assert len(steps) > 20
    assert steps == sorted(steps) and set(steps) == {2, 3}
    assert names(tmp_path / "run") == ["run-b1c8-s64-d10", "run-b1c8-s96-d10"]


def test_what_a_killed_save_left_is_removed_at_the_next_start(tmp_path: Path, alone: Ranks) -> None:
    saved_run(tmp_path, alone, 1)
    leftover = tmp_path / "checkpoints" / ".partial-run-b1c8-s64-d10"
    shutil.copytree(tmp_path / "checkpoints" / "run-b1c8-s32-d10", leftover)
    assert restored_step(tmp_path, alone) == 1
    assert names(tmp_path) == ["run-b1c8-s32-d10"]


# -------------------------------------------------------------- truncated, corrupted


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


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
    with pytest.raises(UserError, match="none that is usable"):
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
    assert names(tmp_path) == ["run-b1c8-s64-d10", "run-b1c8-s96-d10"]


def test_what_lies_ahead_of_the_last_save_is_removed_and_never_counts_as_kept(
    tmp_path: Path, alone: Ranks
) -> None:
    saved_run(tmp_path, alone, 1, 5)
    flip_a_bit(tmp_path / "checkpoints" / "run-b1c8-s160-d10" / "trainer.pt")
    checkpoints = Checkpoints(tmp_path, alone, keep_last=1)
    checkpoints.restore()
    checkpoints.save(snapshot(2))
    assert names(tmp_path) == ["run-b1c8-s64-d10"]


def test_a_checkpoint_of_a_later_format_is_passed_over_with_its_version(
    tmp_path: Path, alone: Ranks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved_run(tmp_path, alone, 1)
    with monkeypatch.context() as later:
        later.setattr(checkpoint_files, "FORMAT", 2)
        saved_run(tmp_path, alone, 2)
    assert restored_step(tmp_path, alone) == 1
    assert "has format 2" in caplog.text


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
    assert "content that cannot be read" in caplog.text
    assert not (tmp_path / "boom").exists()


def test_a_trainer_state_that_could_not_be_read_again_fails_at_the_first_save(
    tmp_path: Path, alone: Ranks
) -> None:
    checkpoints = Checkpoints(tmp_path, alone, 3)
    with pytest.raises(pickle.UnpicklingError):
        checkpoints.save(snapshot(1, trainer={"path": Path("x")}))
    assert latest_checkpoint(tmp_path) is None


# -------------------------------------------------------------------- a full disk


def test_a_full_disk_is_told_and_leaves_the_previous_checkpoint(
    tmp_path: Path, alone: Ranks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = saved_run(tmp_path, alone, 1)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        assert checkpoints.save(snapshot(2)) is None
    assert checkpoints.last_error is not None
    assert "No space left on device" in checkpoints.last_error
    assert "checkpoint.keep_last" in checkpoints.last_error
    assert "newest checkpoint: run-b1c8-s32-d10" in caplog.text
    assert names(tmp_path) == ["run-b1c8-s32-d10"]  # the space of the failed one is given back

    assert checkpoints.save(snapshot(3)) is not None
    assert checkpoints.last_error is None
    assert restored_step(tmp_path, alone) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_is_full_while_torch_writes_is_told(
    tmp_path: Path, alone: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path, alone, 3)

    def onto_full_disk(file: Any, *arguments: Any) -> Any:
        path = "/dev/full" if Path(file).name == "trainer.pt" else file
        return open(path, *arguments)

    monkeypatch.setattr(checkpoint_files, "open", onto_full_disk, raising=False)
    assert checkpoints.save(snapshot(1)) is None
    assert checkpoints.last_error is not None and "No space left" in checkpoints.last_error


def test_a_folder_without_permission_is_told(
    tmp_path: Path, alone: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = saved_run(tmp_path, alone, 1)

    def forbidden(path: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", forbidden)
    assert checkpoints.save(snapshot(2)) is None
    assert checkpoints.last_error is not None and "Permission denied" in checkpoints.last_error


def test_an_old_checkpoint_that_cannot_be_removed_does_not_stop_the_training(
    tmp_path: Path, alone: Ranks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = saved_run(tmp_path, alone, 1, keep_last=1)

    def busy(path: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", str(path))

    monkeypatch.setattr(shutil, "rmtree", busy)
    assert checkpoints.save(snapshot(2)) is not None
    assert "cannot remove the old checkpoint" in caplog.text


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
    with pytest.raises(UserError, match=r"neither a checkpoint .* nor a run that has one yet"):
        load_weights(tmp_path)


# --------------------------------------------------------------------- several ranks

TWO_RANKS = """
import logging
import numpy as np
from ddpzero.checkpoint import Checkpoints
from ddpzero.distributed import join_ranks
from tests.test_checkpoint import filled_buffer, snapshot

with join_ranks("cpu", 30.0) as ranks:
    checkpoints = Checkpoints(folder / "run", ranks, keep_last=3)
    restored = checkpoints.restore()  # saved by one rank
    dealt = {
        "samples": restored.replay_arrays["weights_version"].tolist(),
        "num_inserted": restored.replay_meta["num_inserted"],
        "rank_state": restored.rank_state,
        "world_size": restored.world_size,
    }
    own = filled_buffer(50 + 10 * ranks.rank, first=1000 * (ranks.rank + 1), seed=ranks.rank)
    saved = checkpoints.save(snapshot(5, own)) is not None
    again = Checkpoints(folder / "run", ranks, keep_last=3).restore()
    own_samples = again.replay_arrays["weights_version"].tolist()

    # One rank's disk fails: no rank believes that there is a checkpoint.
    if ranks.rank == 1:
        import ddpzero.checkpoint
        def fail(path, value):
            raise OSError(28, "No space left on device", str(path))
        ddpzero.checkpoint.write_json = fail
    failed = checkpoints.save(snapshot(6, own)) is None
    say(dealt=dealt, saved=saved, own_samples=own_samples, has_own_state=again.rank_state is not None,
        failed=failed, error=checkpoints.last_error)
"""


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("two-ranks")
    with join_ranks("cpu") as ranks:
        Checkpoints(folder / "run", ranks, 3).save(snapshot(4, filled_buffer(31)))
    return folder / "run", run_ranks(folder, TWO_RANKS)


def test_more_ranks_share_the_samples_of_one(two_ranks: tuple[Path, list[dict[str, Any]]]) -> None:
    dealt = [answer["dealt"] for answer in two_ranks[1]]
    assert sorted(dealt[0]["samples"] + dealt[1]["samples"]) == list(range(31))
    assert {len(share["samples"]) for share in dealt} == {15, 16}
    assert sum(share["num_inserted"] for share in dealt) == 31
    assert [share["rank_state"] for share in dealt] == [None, None]
    assert [share["world_size"] for share in dealt] == [1, 1]


def test_each_of_two_ranks_gets_its_own_samples_back(
    two_ranks: tuple[Path, list[dict[str, Any]]],
) -> None:
    for rank, answer in enumerate(two_ranks[1]):
        assert answer["saved"] and answer["has_own_state"]
        first = 1000 * (rank + 1)
        assert answer["own_samples"] == list(range(first, first + 50 + 10 * rank))


def test_fewer_ranks_take_over_all_samples_and_say_so(
    two_ranks: tuple[Path, list[dict[str, Any]]], alone: Ranks, caplog: pytest.LogCaptureFixture
) -> None:
    restored = Checkpoints(two_ranks[0], alone, 3).restore()
    assert restored is not None
    assert restored.world_size == 2 and restored.rank_state is None
    assert sorted(restored.replay_arrays["weights_version"]) == [
        *range(1000, 1050),
        *range(2000, 2060),
    ]
    assert "was saved by 2 ranks and goes on with 1: the 110 samples" in caplog.text


def test_a_failure_at_one_rank_is_a_failure_at_all(
    two_ranks: tuple[Path, list[dict[str, Any]]],
) -> None:
    run_dir, answers = two_ranks
    assert [answer["failed"] for answer in answers] == [True, True]
    assert answers[0]["error"] == answers[1]["error"]
    assert "rank1.json: No space left on device (rank 1 on " in answers[0]["error"]
    assert newest_first(run_dir / "checkpoints")[0].name == "run-b1c8-s160-d10"
    assert not list((run_dir / "checkpoints").glob(".partial-*"))


def test_a_manifest_is_json_that_people_can_read(tmp_path: Path, alone: Ranks) -> None:
    saved_run(tmp_path, alone, 1)
    path = tmp_path / "checkpoints" / "run-b1c8-s32-d10" / "manifest.json"
    content = json.loads(path.read_text())["content"]
    assert content["counters"] == {"learner_step": 1, "samples": 10}
    assert content["world_size"] == 1
    assert set(content["files"]) == set(FILES) - {"manifest.json"}
    assert set(content["versions"]) == {"ddpzero", "numpy", "python", "torch"}
