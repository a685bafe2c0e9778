"""One training at a time in a run's folder, seen by all ranks, always of one config."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ddpzero.run.checkpoint import Checkpoints
from ddpzero.run.folder import (
    RESUME_MARK,
    check_run_config,
    claim_run_folder,
    keep_config,
    mark_stopped,
    write_config,
)
from ddpzero.run.ranks import Ranks, join_ranks
from ddpzero.system.errors import UserError
from ddpzero.system.guarded_files import read_yaml
from tests.run.checkpointed_runs import snapshot
from tests.torchrun import environment, run_ranks

CONFIG: dict[str, Any] = {
    "seed": 1,
    "learner": {"batch_size": 64, "max_minutes": 5.0},
    "actors": {"num_actors": None},
    "shape": (6, 7),
}


@pytest.fixture
def alone() -> Iterator[Ranks]:
    with join_ranks("cpu") as ranks:
        yield ranks


def changed(section: str, **values: Any) -> dict[str, Any]:
    return CONFIG | {section: CONFIG[section] | values}


def test_a_second_training_in_the_same_folder_is_refused_and_says_who_holds_it(
    tmp_path: Path, alone: Ranks
) -> None:
    with claim_run_folder(tmp_path / "x", alone):
        second = claim_run_folder(tmp_path / "x", alone)
        with pytest.raises(UserError, match=r"is in use by process \d+ on "):
            second.__enter__()
    with claim_run_folder(tmp_path / "x", alone):
        pass


def test_a_killed_training_leaves_the_folder_free(tmp_path: Path, alone: Ranks) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from ddpzero.run.ranks import join_ranks\n"
        "from ddpzero.run.folder import claim_run_folder\n"
        "with join_ranks('cpu') as ranks, claim_run_folder(Path(sys.argv[1]), ranks):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    assert subprocess.run(command, env=environment(), check=False, timeout=60).returncode == -9
    with claim_run_folder(tmp_path, alone):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, alone: Ranks) -> None:
    (tmp_path / "runs").write_text("a file in the way")
    claim = claim_run_folder(tmp_path / "runs" / "x", alone)
    with pytest.raises(UserError, match=r"runs/x cannot be used .*: set runs_dir"):
        claim.__enter__()


def test_a_full_disk_is_told_with_the_path_and_what_helps(
    tmp_path: Path, alone: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    remedy = "free some space there, or set runs_dir to a folder on another disk"
    monkeypatch.setattr("ddpzero.run.folder.write_config", full)
    with pytest.raises(UserError) as caught:
        keep_config(tmp_path, CONFIG, alone)
    config = tmp_path / "config.yaml"
    assert str(caught.value) == f"{config} cannot be written (No space left on device): {remedy}."
    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(UserError) as caught:
        claim_run_folder(tmp_path / "x", alone).__enter__()
    assert str(caught.value) == f"{tmp_path}/x cannot be used (No space left on device): {remedy}."


SEPARATE_FOLDERS = """
from ddpzero.run.ranks import join_ranks
from ddpzero.run.folder import claim_run_folder
from ddpzero.system.errors import UserError
import ddpzero.run.folder
ddpzero.run.folder._VISIBLE_WITHIN_SECONDS = 0.5
with join_ranks("cpu", 30.0) as ranks:
    own = folder / f"disk-of-rank{ranks.rank}"
    own.mkdir()
    try:
        with claim_run_folder(own, ranks):
            say(sentence="")
    except UserError as error:
        say(sentence=str(error))
"""


def test_a_folder_that_is_not_shared_by_all_ranks_is_refused_by_all(tmp_path: Path) -> None:
    for answer in run_ranks(tmp_path, SEPARATE_FOLDERS):
        assert "is not the same folder at rank 1 (node " in answer["sentence"]
        assert "set runs_dir to a file system that all nodes share" in answer["sentence"]


def learned(run_dir: Path, alone: Ranks, config: dict[str, Any] = CONFIG, step: int = 1) -> Path:
    """Save a checkpoint of a run with this config."""
    path = Checkpoints(run_dir, alone, 3).save(snapshot(step, config=config))
    assert path is not None
    return path


def test_the_same_config_goes_on_whatever_config_yaml_says(tmp_path: Path, alone: Ranks) -> None:
    keep_config(tmp_path, CONFIG, alone)
    assert read_yaml(tmp_path / "config.yaml") == CONFIG | {"shape": [6, 7]}
    learned(tmp_path, alone)
    for content in (None, "", "[" * 3000, "a: [1", "\0", "seed: 2"):
        (tmp_path / "config.yaml").unlink(missing_ok=True)
        if content is not None:
            (tmp_path / "config.yaml").write_text(content)
        assert check_run_config(tmp_path, CONFIG, allow_change=False, ranks=alone) == []


def test_without_a_checkpoint_there_is_nothing_to_protect(tmp_path: Path, alone: Ranks) -> None:
    keep_config(tmp_path, CONFIG, alone)
    assert check_run_config(tmp_path, CONFIG | {"seed": 2}, allow_change=False, ranks=alone) == []


def test_another_config_is_refused_with_the_differing_keys(tmp_path: Path, alone: Ranks) -> None:
    learned(tmp_path, alone)
    other = changed("learner", batch_size=128) | {"new": True}
    with pytest.raises(UserError) as error:
        check_run_config(tmp_path, other, allow_change=False, ranks=alone)
    assert "learner.batch_size: was 64, is 128" in str(error.value)
    assert "new: was absent, is True" in str(error.value)
    assert "seed" not in str(error.value)


def test_a_change_that_is_allowed_is_told(tmp_path: Path, alone: Ranks) -> None:
    learned(tmp_path, alone)
    other = changed("learner", batch_size=128)
    sentences = check_run_config(tmp_path, other, allow_change=True, ranks=alone)
    assert sentences == ["learner.batch_size: was 64, is 128"]


def test_the_newest_checkpoint_that_says_a_config_is_compared(tmp_path: Path, alone: Ranks) -> None:
    learned(tmp_path, alone)
    newest = learned(tmp_path, alone, CONFIG | {"seed": 2}, step=2)
    assert check_run_config(tmp_path, CONFIG | {"seed": 2}, False, alone) == []
    (newest / "config.yaml").write_text("")
    assert check_run_config(tmp_path, CONFIG, False, alone) == []


@pytest.mark.parametrize(
    "other", [changed("learner", max_minutes=60.0), changed("actors", num_actors=4)]
)
def test_limits_and_actors_may_change_between_starts(
    tmp_path: Path, alone: Ranks, other: dict[str, Any]
) -> None:
    learned(tmp_path, alone)
    assert len(check_run_config(tmp_path, other, allow_change=False, ranks=alone)) == 1


@pytest.mark.parametrize("name", ["checkpoints", "logs", ""])
@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to(path), os.mkfifo])
def test_what_stands_where_a_folder_must_be_is_named_before_anything_starts(
    tmp_path: Path, alone: Ranks, name: str, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "x" / name
    path.parent.mkdir(exist_ok=True)
    make(path)
    with pytest.raises(UserError, match=f"{path} is not a folder"):
        claim_run_folder(tmp_path / "x", alone).__enter__()


def test_a_failed_write_of_the_config_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(tmp_path / "config.yaml", CONFIG)
    monkeypatch.setattr(Path, "replace", lambda *_: pytest.fail("stopped before the exchange"))
    with pytest.raises(pytest.fail.Exception):
        write_config(tmp_path / "config.yaml", {"seed": 2})
    assert read_yaml(tmp_path / "config.yaml")["seed"] == 1


def test_the_mark_of_a_stopped_run_is_gone_once_it_goes_on(tmp_path: Path, alone: Ranks) -> None:
    mark_stopped(tmp_path, "SIGTERM")
    assert (tmp_path / RESUME_MARK).read_text() == "SIGTERM\n"
    with claim_run_folder(tmp_path, alone):
        assert not (tmp_path / RESUME_MARK).exists()
