"""Finds the model that a training had at a given minute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ddpzero.bench.ablation.training import CellFailed
from ddpzero.run.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    CheckpointError,
    Manifest,
    newest_first,
    read_manifest,
)
from ddpzero.run.models import MODELS_FOLDER
from ddpzero.run.record import read_status

# A model may differ from what is asked for by this share, and by this many minutes: it is saved between two updates.
_TOLERANCE = 0.1


def model_at(run_dir: Path, minutes: float | None) -> tuple[Path, Manifest]:
    """Return the model that is nearest to this training time; None for the newest one.

    It may be a little older: if nothing was trained since a checkpoint, that is the model of this minute. Raises
    CellFailed if the nearest one is far away.
    """
    found = sorted(_models(run_dir), key=lambda entry: entry[1].counters["learner_step"])
    if not found:
        raise CellFailed(f"{run_dir} has no model.")
    if minutes is None:
        return found[-1]
    nearest = min(found, key=lambda entry: abs(entry[1].counters["minutes"] - minutes))
    if abs(nearest[1].counters["minutes"] - minutes) > _TOLERANCE * minutes + _TOLERANCE:
        kept = ", ".join(f"{manifest.counters['minutes']:.2f}" for _, manifest in found)
        raise CellFailed(
            f"{run_dir} has no model of minute {minutes:g}, only of minutes {kept}: remove the folder to train again."
        )
    return nearest


def require_finished(run_dir: Path) -> None:
    """Raise CellFailed unless the run has reached its limit; it may have been stopped by somebody else."""
    if not run_dir.exists():
        raise CellFailed(f"the run {run_dir} does not exist.")
    status = read_status(run_dir) or {}
    if status.get("state") != "finished":
        raise CellFailed(
            f"{run_dir} has not reached its end ({status.get('stop_reason', 'no reason is known')}); the same command "
            "continues it."
        )


def _models(run_dir: Path) -> Iterator[tuple[Path, Manifest]]:
    for folder in (MODELS_FOLDER, CHECKPOINTS_FOLDER):
        for path in newest_first(run_dir / folder):
            with suppress(CheckpointError):
                yield path, read_manifest(path)
