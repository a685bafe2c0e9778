"""The folder of one run, `runs/<run_name>/`: claimed by one training at a time, seen by all ranks, of one config.

Called by the learner before anything is loaded, and once it is. What lies inside belongs to checkpoint.py,
run/record.py and logs.py.
"""

from __future__ import annotations

import copy
import errno
import fcntl
import logging
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ddpzero.run.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    CheckpointError,
    check_file,
    newest_first,
    read_manifest,
)
from ddpzero.run.differences import ABSENT, differences
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import UnreadableFileError, read_yaml
from ddpzero.system.whole_files import replace_whole

if TYPE_CHECKING:
    from ddpzero.run.ranks import Ranks

logger = logging.getLogger(__name__)

RESUME_MARK = "resume_me"
LOGS_FOLDER = "logs"

_LOCK_FILE = ".lock"
# A network file system may show a new file to other nodes only after its attribute cache has aged.
_VISIBLE_WITHIN_SECONDS = 10.0

# What a run may change when it is started again: where and how fast it runs and when it ends, not what it learns.
_FREE_TO_CHANGE = (
    "run_name",
    "runs_dir",
    "init_from",  # only a new run begins with other weights
    "device",
    "actors",
    "logging",
    "checkpoint",
    "sweep",
    "replay.capacity",
    "learner.max_epochs",
    "learner.max_minutes",
    "learner.max_samples",
    "learner.max_episodes",
    "learner.num_threads",
    "learner.precision",
    "learner.compile",
    "learner.timeout_seconds",
)

# Another one is another run; a whole group differs where it is none.
_NEVER_CHANGED = ("game", "game.name", "algorithm", "algorithm.plugin")
# Folders and files of another machine.
_MAY_BE_GONE = ("runs_dir", "init_from", "game.source", "algorithm.source")


@contextmanager
def claim_run_folder(run_dir: Path, ranks: Ranks) -> Iterator[None]:
    """Make the folder and hold it for the time of the block; all ranks together.

    Raises UserError at every rank if another process trains in it, or if some rank does not see the same folder.
    """
    problem, lock = "", None
    if ranks.is_first:
        try:
            for folder in (run_dir, run_dir / CHECKPOINTS_FOLDER, run_dir / LOGS_FOLDER):
                _make_folder(folder)
            lock = _lock(run_dir)
            (run_dir / RESUME_MARK).unlink(missing_ok=True)
        except UserError as error:
            problem = str(error)
        except OSError as error:
            problem = (
                f"{error.filename or run_dir} cannot be used ({error.strerror}): {_remedy(error)}"
            )
    problem = ranks.broadcast(problem)
    require(not problem, problem)
    try:
        _check_that_all_ranks_see(run_dir, ranks)
        yield
    finally:
        if lock is not None:
            os.close(lock)


def check_run_config(
    run_dir: Path, config: Mapping[str, Any], allow_change: bool, ranks: Ranks
) -> list[str]:
    """Compare with the config of the newest checkpoint that says one; all ranks together. Writes nothing.

    Returns one sentence for each key that changed. Raises UserError at every rank if a key differs that decides what
    is learned, unless allow_change. A config that cannot be this run's is passed over if there is an older one. Without
    a checkpoint there is nothing to protect, whatever config.yaml says.
    """
    refused: list[str] = []
    changed: list[str] = []
    problem = ""
    if ranks.is_first:
        try:
            changed, refused = _changes_since_newest(run_dir, config)
        except UserError as error:
            problem = str(error)
    problem, refused, changed = ranks.broadcast([problem, refused, changed])
    require(not problem, problem)
    require(
        allow_change or not refused,
        f"{run_dir} holds a run with another config:\n  " + "\n  ".join(refused) + "\n"
        "Choose another run_name, start it with the config (and the version of ddpzero) it had, or set "
        "checkpoint.allow_config_change=true.",
    )
    return changed


def config_changes(
    before: Mapping[str, Any], config: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Return "KEY: was A, is B" for each key that changed, then only those that decide what is learned.

    A key that the earlier config lacks, because its version of ddpzero did not have it, had its default.
    """
    # Here: it loads the game, and the monitor imports this file.
    from ddpzero.config.conversion import with_defaults

    changed, refused = [], []
    for key, old, new in differences(with_defaults(before), with_defaults(_plain(config))):
        old_text, new_text = ("absent" if v is ABSENT else repr(v)[:200] for v in (old, new))
        if new is ABSENT:
            new_text = "no setting of this version of ddpzero"
        changed.append(f"{key}: was {old_text}, is {new_text}")
        if not _is_free_to_change(key):
            refused.append(changed[-1])
    return changed, refused


def foreign_config(before: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return why the config of a checkpoint cannot be an earlier one of this run; "" if it can.

    Nobody changes the game or the plugin of a run, and no setting ever had a value that it may not have: such a config
    was damaged or forged. Keys that this version does not know are left out.
    """
    from ddpzero.config.conversion import settings_from_dict, with_defaults

    trial = with_defaults(_plain(config))
    for key, old, new in differences(with_defaults(before), copy.deepcopy(trial)):
        if key in _MAY_BE_GONE and (old is ABSENT or old is None or isinstance(old, str)):
            continue
        if key in (*_MAY_BE_GONE, *_NEVER_CHANGED):
            return f"{key} is {repr(old)[:80]} there"
        if old is not ABSENT and new is not ABSENT:
            _set(trial, key, old)
    try:
        settings_from_dict(trial)
    except (UserError, ValueError) as error:
        return " ".join(str(error).split()).rstrip(".")
    return ""


def keep_config(run_dir: Path, config: Mapping[str, Any], ranks: Ranks) -> None:
    """Write config.yaml, once the run can go on with this config; all ranks together. Raises UserError everywhere."""
    problem = ""
    if ranks.is_first:
        try:
            write_config(run_dir / CONFIG_FILE, config)
        except OSError as error:
            path = run_dir / CONFIG_FILE
            problem = f"{path} cannot be written ({error.strerror}): {_remedy(error)}"
    problem = ranks.broadcast(problem)
    require(not problem, problem)


def _remedy(error: OSError) -> str:
    """What to do where a run's folder cannot be written to."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space there, or set runs_dir to a folder on a disk that has some."
    if error.errno == errno.EISDIR:
        return "that is a folder: move it away, or choose another run_name."
    return "set runs_dir to a folder that you may write to."


def _changes_since_newest(run_dir: Path, config: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return config_changes since the newest checkpoint, or since an older one where that is foreign to the run."""
    newest: tuple[list[str], list[str]] | None = None
    for before in _configs_of_checkpoints(run_dir):
        changed, refused = config_changes(before, config)
        if not (refused and foreign_config(before, config)):
            return changed, refused
        newest = newest or (changed, refused)
    return newest or ([], [])


def _configs_of_checkpoints(run_dir: Path) -> Iterator[dict[str, Any]]:
    """Yield the configs of the checkpoints, the newest first; of those in which it can be read."""
    for path in newest_first(run_dir / CHECKPOINTS_FOLDER):
        try:
            check_file(path, CONFIG_FILE, read_manifest(path).files[CONFIG_FILE])
            config = read_yaml(path / CONFIG_FILE)
        except (CheckpointError, UnreadableFileError):
            continue  # the learner says why, when it passes it over
        yield config


def mark_stopped(run_dir: Path, reason: str) -> None:
    """Leave the mark by which a batch script knows that the run was stopped by a signal, saved, and should go on.

    Rank 0, after the last checkpoint. torchrun's exit code cannot say it: that is 1 after any SIGTERM.
    """
    (run_dir / RESUME_MARK).write_text(reason + "\n")


def write_config(path: Path, config: Mapping[str, Any]) -> None:
    """Write a resolved config, whole or not at all."""
    replace_whole(path, config_text(config).encode())


def config_text(config: Mapping[str, Any]) -> str:
    """Return a resolved config of plain values as YAML, its keys in their order."""
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config as it reads after a turn through YAML, so that a tuple equals a list."""
    return yaml.safe_load(config_text(config))


def _set(config: dict[str, Any], key: str, value: Any) -> None:
    """Set the value of a dotted key whose groups are there."""
    *groups, last = key.split(".")
    for group in groups:
        config = config[group]
    config[last] = value


def _is_free_to_change(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in _FREE_TO_CHANGE)


def _make_folder(path: Path) -> None:
    """Make a folder that can be written to, or raise OSError or UserError: now, not when the first file is due."""
    require(
        path.is_dir() or not os.path.lexists(path),
        f"{path} is not a folder, but a run needs one there: move it away, or choose another run_name.",
    )
    path.mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _lock(run_dir: Path) -> int | None:
    """Take the folder's lock, which the kernel gives back however this process ends; None where there are no locks."""
    lock = os.open(run_dir / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(lock, 200).decode(errors="replace").strip() or "another process"
        os.close(lock)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            logger.warning(
                "%s: no file locks here (%s); start no second run in it.", run_dir, error
            )
            return None
        raise UserError(
            f"{run_dir} is being trained by {holder}. Stop that one first, or choose another run_name."
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"process {os.getpid()} on {os.uname().nodename}\n".encode())
    return lock


def _check_that_all_ranks_see(run_dir: Path, ranks: Ranks) -> None:
    """Raise UserError if some rank does not find a file that rank 0 has just written into the folder."""
    token = ranks.broadcast(f".seen-by-all-ranks-{secrets.token_hex(8)}")
    problem = ""
    if ranks.is_first:
        try:
            (run_dir / token).touch()
        except OSError as error:
            problem = f"{run_dir} cannot be written: {error.strerror}."
    if problem := ranks.broadcast(problem):
        raise UserError(problem)
    deadline = time.monotonic() + _VISIBLE_WITHIN_SECONDS
    while not (found := (run_dir / token).exists()) and time.monotonic() < deadline:
        time.sleep(0.2)
    rows = ranks.gather([found, ranks.node])
    if ranks.is_first:
        (run_dir / token).unlink()
    blind = [f"rank {rank} (node {node})" for rank, (seen, node) in enumerate(rows) if not seen]
    require(
        not blind,
        f"{run_dir} of rank 0 (node {rows[0][1]}) is not the same folder at {', '.join(blind)}. Every rank saves its "
        "replay buffer there, and rank 0 moves to another node after a requeue: set runs_dir to a file system that "
        "all nodes share.",
    )
