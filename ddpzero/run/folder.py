"""The folder of one run, `runs/<run_name>/`: claimed by one training at a time, visible to all ranks, with one config.

Called by the learner before and after it loads a checkpoint. checkpoint.py, record.py and logs.py write the files in
it.
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

# What may change when a run is started again: where it runs, how fast, and when it ends, but not what it learns.
_FREE_TO_CHANGE = (
    "run_name",
    "runs_dir",
    # Only a new run reads it.
    "init_from",
    "device",
    "actors",
    # Ratings compare models that search with equally many simulations, so arena.num_simulations may not change.
    "arena.num_workers",
    "arena.opponents",
    "arena.games",
    "arena.share",
    "arena.max_models",
    "judge",
    "logging",
    "checkpoint",
    "collect",
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

# With another game or plugin it is another run. A group differs as a whole where one side is not a group.
_NEVER_CHANGED = ("game", "game.name", "algorithm", "algorithm.plugin")
# Folders and files that may exist only on another machine.
_MAY_BE_GONE = ("runs_dir", "init_from", "game.source", "algorithm.source")


@contextmanager
def claim_run_folder(run_dir: Path, ranks: Ranks) -> Iterator[None]:
    """Create the folder and hold its lock within the block; all ranks together.

    Raises UserError at every rank if another process trains in it, or if a rank does not see the same folder.
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
    """Compare the config with that of the newest checkpoint with a readable one; all ranks together. Writes nothing.

    Returns one sentence for each key that changed. Raises UserError at every rank if a key differs that affects what is
    learned, unless allow_change. Skips a config that cannot belong to this run if an older one can. Without a
    checkpoint nothing is compared: config.yaml alone protects nothing.
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
        f"{run_dir} contains a run with a different config:\n  " + "\n  ".join(refused) + "\n"
        "Choose another run_name, use the config (and the version of ddpzero) of that run, or set "
        "checkpoint.allow_config_change=true.",
    )
    return changed


def config_changes(
    before: Mapping[str, Any], config: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Return "KEY: was A, is B" for each key that changed, and the subset of keys that affect what is learned.

    A key that the earlier config lacks, because its version of ddpzero did not have it, counts as its default.
    """
    # Imported here, because it loads the game and the monitor imports this file.
    from ddpzero.config.conversion import with_defaults

    changed, refused = [], []
    found = list(differences(with_defaults(before), with_defaults(_plain(config))))
    replaced = [key.partition(".")[0] for key, *_ in found if key in _NEVER_CHANGED]
    for key, old, new in found:
        # Another game has other parameters: its name says it all.
        if key.partition(".")[0] in replaced and key not in _NEVER_CHANGED:
            continue
        old_text, new_text = ("absent" if v is ABSENT else repr(v)[:200] for v in (old, new))
        if new is ABSENT:
            new_text = "no setting of this version of ddpzero"
        changed.append(f"{key}: was {old_text}, is {new_text}")
        if not _is_free_to_change(key):
            refused.append(changed[-1])
    return changed, refused


def foreign_config(before: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return why a checkpoint's config cannot be an earlier config of this run; "" if it can.

    A config with another game or plugin, or with an invalid value, was damaged or forged. Keys that this version does
    not know are ignored.
    """
    from ddpzero.config.conversion import settings_from_dict, with_defaults

    trial = with_defaults(_plain(config))
    for key, old, new in differences(with_defaults(before), copy.deepcopy(trial)):
        if key in _MAY_BE_GONE and (old is ABSENT or old is None or isinstance(old, str)):
            continue
        if key in (*_MAY_BE_GONE, *_NEVER_CHANGED):
            return f"its {key} is {repr(old)[:80]}"
        if old is not ABSENT and new is not ABSENT:
            _set(trial, key, old)
    try:
        settings_from_dict(trial)
    except (UserError, ValueError) as error:
        return " ".join(str(error).split()).rstrip(".")
    return ""


def keep_config(run_dir: Path, config: Mapping[str, Any], ranks: Ranks) -> None:
    """Write config.yaml once the config is accepted; all ranks together. Raises UserError at every rank."""
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
    """Return what to do about a run's folder that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space there, or set runs_dir to a folder on another disk."
    if error.errno == errno.EISDIR:
        return "it is a folder: move it away, or choose another run_name."
    return "set runs_dir to a writable folder."


def _changes_since_newest(run_dir: Path, config: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return config_changes since the newest checkpoint, or since an older one if that is foreign to the run."""
    newest: tuple[list[str], list[str]] | None = None
    for before in _configs_of_checkpoints(run_dir):
        changed, refused = config_changes(before, config)
        if not (refused and foreign_config(before, config)):
            return changed, refused
        newest = newest or (changed, refused)
    return newest or ([], [])


def _configs_of_checkpoints(run_dir: Path) -> Iterator[dict[str, Any]]:
    """Yield the readable configs of the checkpoints, newest first."""
    for path in newest_first(run_dir / CHECKPOINTS_FOLDER):
        try:
            check_file(path, CONFIG_FILE, read_manifest(path).files[CONFIG_FILE])
            config = read_yaml(path / CONFIG_FILE)
        except (CheckpointError, UnreadableFileError):
            # The learner logs the reason when it skips this checkpoint.
            continue
        yield config


def mark_stopped(run_dir: Path, reason: str) -> None:
    """Write the file that tells a batch script that a signal stopped the run, the run was saved, and should continue.

    Called by rank 0 after the last checkpoint. torchrun's exit code cannot tell: it is 1 after any SIGTERM.
    """
    (run_dir / RESUME_MARK).write_text(reason + "\n")


def write_config(path: Path, config: Mapping[str, Any]) -> None:
    """Write a resolved config atomically."""
    replace_whole(path, config_text(config).encode())


def config_text(config: Mapping[str, Any]) -> str:
    """Return a resolved config of plain values as YAML, with its keys in their order."""
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config after a round trip through YAML, so that a tuple equals a list."""
    return yaml.safe_load(config_text(config))


def _set(config: dict[str, Any], key: str, value: Any) -> None:
    """Set the value of a dotted key whose groups exist."""
    *groups, last = key.split(".")
    for group in groups:
        config = config[group]
    config[last] = value


def _is_free_to_change(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in _FREE_TO_CHANGE)


def _make_folder(path: Path) -> None:
    """Create a writable folder. Raises OSError or UserError now, before the first file has to be written."""
    require(
        path.is_dir() or not os.path.lexists(path),
        f"{path} is not a folder: move it away, or choose another run_name.",
    )
    path.mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _lock(run_dir: Path) -> int | None:
    """Return the folder's lock, which the kernel releases when this process ends; None without file locks."""
    lock = os.open(run_dir / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(lock, 200).decode(errors="replace").strip() or "another process"
        os.close(lock)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            logger.warning(
                "%s: its file system has no file locks (%s): start no second run in it.",
                run_dir,
                error,
            )
            return None
        raise UserError(
            f"{run_dir} is in use by {holder}. Stop that process first, or choose another run_name."
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"process {os.getpid()} on {os.uname().nodename}\n".encode())
    return lock


def _check_that_all_ranks_see(run_dir: Path, ranks: Ranks) -> None:
    """Raise UserError if a rank does not find a file that rank 0 has just created in the folder."""
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
        "replay buffer there, and rank 0 may move to another node after a requeue: set runs_dir to a file system that "
        "all nodes share.",
    )
