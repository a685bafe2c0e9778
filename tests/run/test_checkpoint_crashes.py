"""Whatever is killed, full or forbidden while a checkpoint is saved: the one before is whole."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ddpzero.run import checkpoint_files
from ddpzero.run.checkpoint import Checkpoints
from ddpzero.run.ranks import Ranks
from tests.run.checkpointed_runs import (
    names,
    restored_step,
    saved_run,
    snapshot,
)
from tests.torchrun import environment

# ------------------------------------------------------------ killed at any moment


KILLED_SAVE = """
import os, signal, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
from ddpzero.run.checkpoint import Checkpoints
from ddpzero.run.ranks import join_ranks
from tests.run.checkpointed_runs import restored_step, snapshot

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
