"""Finds the run that a person names: the folder of a run or a checkpoint, or the name of a run in the folder of all
runs; with @N its newest checkpoint of at most N episodes, with @best or @latest one of its models.

Called by init_from and by every tool that takes a run; never imports torch.
"""

from __future__ import annotations

import logging
from difflib import get_close_matches
from pathlib import Path

from ddpzero.run.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    MANIFEST_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    newest_first,
    read_manifest,
)
from ddpzero.run.models import MODELS_FOLDER, read_models
from ddpzero.run.releases import best_of, read_verdicts
from ddpzero.system.errors import UserError, require

logger = logging.getLogger(__name__)

# Tools look here: the default of runs_dir.
RUNS_DIR = Path("runs")

_MAX_LISTED_RUNS = 8

# Files that identify a checkpoint, a run with checkpoints, and a run without checkpoints.
_MARKS_OF_RUNS = (CHECKPOINTS_FOLDER, "status.json", "config.yaml")
_MARKS = (MANIFEST_FILE, *_MARKS_OF_RUNS)


def find_run(source: str, runs_dir: Path = RUNS_DIR, key: str = "") -> Path | None:
    """Return the folder of the run or the checkpoint that `source` names; None if it does not exist.

    source: a folder, or the name of a run in runs_dir; with @N the newest checkpoint or model of that run with at most
    N episodes, with @best the model that it released last, with @latest its newest model. key: the text before `source`
    in error messages, such as "init_from=". Raises UserError if the run has no such checkpoint or model.
    """
    name, which = _split(source)
    folder = _find_folder(name, runs_dir)
    if folder is None or which is None:
        return folder
    require(
        not (folder / MANIFEST_FILE).exists(),
        f"{key}{source}: {name} is a checkpoint, not a run: omit @{which[:80]}.",
    )
    if which in ("best", "latest"):
        return _model(which, folder, f"{key}{source}")
    return _checkpoint_of_at_most(which, folder, f"{key}{source}")


def is_run(folder: Path) -> bool:
    """Return whether a run was started in a folder, even if it has no checkpoint yet."""
    is_model = (folder / WEIGHTS_FILE).exists()
    return not is_model and any((folder / mark).exists() for mark in _MARKS_OF_RUNS)


def why_unknown(name: str) -> str:
    """Return why `find_run` does not find `name` in RUNS_DIR, as the end of a sentence, and what is there instead."""
    path = Path(name)
    run_dir = path.parent.parent
    if path.parent.name in (CHECKPOINTS_FOLDER, MODELS_FOLDER) and _is_folder(run_dir):
        return (
            f"{run_dir} does not have it, or no longer: a run keeps its newest checkpoints (checkpoint.keep_last), and "
            f"some models (arena.max_models). {run_dir} names the newest checkpoint."
        )
    return f"there is no such folder, here or in {RUNS_DIR}/.{nearest_runs(name)}"


def nearest_runs(name: str, runs_dir: Path = RUNS_DIR) -> str:
    """Return a sentence with the runs with the names closest to `name`, else with the newest ones; "" if none exist."""
    try:
        runs = [path for path in runs_dir.iterdir() if path.is_dir() and path.name[0] != "."]
        runs.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return ""
    names = [path.name for path in runs]
    if near := get_close_matches(Path(name.partition("@")[0]).name, names, n=3):
        return f" Did you mean {' or '.join(near)}?"
    newest = ", ".join(names[:_MAX_LISTED_RUNS])
    return f" The newest runs in {runs_dir}/: {newest}." if names else ""


def _split(source: str) -> tuple[str, str | None]:
    """Return the name and the text after the @, None without one; an @ in the name of a folder is no separator."""
    name, at, digits = source.rpartition("@")
    if not at or "/" in digits or Path(source).is_dir():
        return source, None
    return name, digits


def _find_folder(name: str, runs_dir: Path) -> Path | None:
    """Return the path itself or the folder in runs_dir, by the better marks of a run; None if neither exists."""
    if not name:
        return None
    folders = [folder for folder in (Path(name), runs_dir / name) if _is_folder(folder)]
    return min(folders, key=_unlikeness, default=None)


def _unlikeness(folder: Path) -> int:
    """Return 0 for a checkpoint, and more the less a folder looks like one; of equals the first one wins."""
    marks = [(folder / mark).exists() for mark in _MARKS]
    return marks.index(True) if any(marks) else len(marks)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    # The name is not one that a file can have.
    except (OSError, ValueError):
        return False


def _model(which: str, folder: Path, what: str) -> Path:
    models = [manifest.model for manifest in read_models(folder)]
    best = best_of(read_verdicts(folder))
    model = best if which == "best" else next(reversed(models), None)
    if model in models:
        return folder / MODELS_FOLDER / str(model)
    # A run of an earlier version has no models: its newest checkpoint is the latest.
    if which == "latest":
        return folder
    fault = f"has released {best}, whose files are lost" if best else "has not released a model"
    raise UserError(f"{what}: {folder} {fault}. Omit @best to take its newest checkpoint.")


def _checkpoint_of_at_most(digits: str, folder: Path, what: str) -> Path:
    require(
        digits.isascii() and digits.isdecimal() and len(digits) <= 18,
        f"{what}: {digits[:80]!r} after @ is neither a number of episodes nor best or latest.",
    )
    found: dict[int, Path] = {}
    for subfolder in (MODELS_FOLDER, CHECKPOINTS_FOLDER):
        for path in reversed(newest_first(folder / subfolder)):
            try:
                found[int(read_manifest(path).counters.get("episodes", 0))] = path
            except CheckpointError as error:
                logger.warning("skipped checkpoint %s: %s", path.name, error)
    fitting = [episodes for episodes in found if episodes <= int(digits)]
    if fitting:
        return found[max(fitting)]
    raise UserError(
        f"{what}: {folder} has no checkpoint of at most {digits} episodes; it has "
        f"{', '.join(map(str, sorted(found))) or 'none at all'}. checkpoint.keep_last and arena.max_models set "
        "how many a run keeps."
    )
