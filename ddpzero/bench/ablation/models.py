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

# A model may be this much later than asked for: it is saved between two updates.
_TOLERANCE = 0.1


def model_at(run_dir: Path, minutes: float | None) -> tuple[Path, Manifest]:
    """Return the first model with at least this training time; None for the newest one.

    Raises CellFailed if the run has no such model, or only one that is much later.
    """
    found = sorted(_models(run_dir), key=lambda entry: entry[1].counters["learner_step"])
    if minutes is None:
        fitting = found[-1:]
    else:
        fitting = [entry for entry in found if minutes <= entry[1].counters["minutes"]][:1]
    if not fitting or (
        minutes is not None
        and fitting[0][1].counters["minutes"] > (1 + _TOLERANCE) * minutes + _TOLERANCE
    ):
        kept = ", ".join(f"{manifest.counters['minutes']:.2f}" for _, manifest in found) or "none"
        raise CellFailed(
            f"{run_dir} has no model of minute {minutes} (it has those of minutes {kept}): remove "
            "the folder to train again."
        )
    return fitting[0]


def require_finished(run_dir: Path) -> None:
    """Raise CellFailed unless the run has reached its limit; it may have been stopped by somebody else."""
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
