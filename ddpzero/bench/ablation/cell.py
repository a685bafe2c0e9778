"""Trains one variant with one seed, and judges its models."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

from ddpzero.algorithms.base import HOLDOUT_GROUP, LOSS
from ddpzero.bench.ablation.experiment import CellKey, Experiment, Judge
from ddpzero.bench.ablation.models import model_at, require_finished
from ddpzero.bench.ablation.plan import Plan
from ddpzero.bench.ablation.results import Point, Verdict
from ddpzero.bench.ablation.training import (
    CellFailed,
    offline_command,
    online_command,
    run_training,
)
from ddpzero.bench.ablation.verdicts import verdicts
from ddpzero.system.errors import UserError, is_sentence_of_ours
from ddpzero.system.failures import failure_sentence
from ddpzero.training.objective import read_objective

_HELD_OUT_LOSS = f"{HOLDOUT_GROUP}/total_loss"


def train_and_judge(plan: Plan, key: CellKey, folder: Path) -> tuple[Point, ...]:
    """Train one variant with one seed, or continue that, and judge its models.

    folder: of the ablation. Raises CellFailed, or TrainingStopped after a signal.
    """
    experiment, source = plan.experiment, plan.source
    runs_dir = folder / "runs"
    words = experiment.words(key, plan.settings[key.variant], runs_dir)
    if source is None:
        command = online_command(words, experiment.config_dir)
    else:
        command = offline_command(words, experiment.config_dir, source)
    run_training(command, folder / "logs" / f"{key.run_name}.log")
    require_finished(runs_dir / key.run_name)
    first_run = _first_run(experiment, key, runs_dir)
    points = []
    for minutes in experiment.points:
        # The last checkpoint may be a little older than the end of the run, if it was saved after the last update.
        at = None if minutes == experiment.points[-1] else minutes
        path, manifest = model_at(runs_dir / key.run_name, at)
        first_model = None if first_run is None else model_at(first_run, at)[0]
        counters = manifest.counters
        losses = _losses(runs_dir / key.run_name) if at is None else {}
        points.append(
            Point(
                asked_minutes=minutes,
                minutes=float(counters["minutes"]),
                model=manifest.model,
                learner_step=int(counters["learner_step"]),
                samples=int(counters["samples"]),
                verdicts=_judge(path, experiment.judge, key.seed, first_model),
                **losses,
            )
        )
    return tuple(points)


def _first_run(experiment: Experiment, key: CellKey, runs_dir: Path) -> Path | None:
    """Return the run of the first variant that this one plays against; None if it does not.

    Raises CellFailed unless that run has reached its end: matches against half of a training would be recorded for
    good.
    """
    if key.variant == experiment.first or not experiment.judge.needs_first:
        return None
    run_dir = runs_dir / CellKey(experiment.first, key.seed).run_name
    try:
        require_finished(run_dir)
    except CellFailed as error:
        raise CellFailed(
            f"it is trained, but not judged yet, because it plays against {run_dir.name}: {error}"
        ) from None
    return run_dir


def _judge(model: Path, judge: Judge, seed: int, first_model: Path | None) -> tuple[Verdict, ...]:
    """Return the verdicts on a model; see `verdicts`. Raises CellFailed for errors that are no bug of this package."""
    try:
        return tuple(verdicts(model, judge, seed, first_model))
    except Exception as error:
        if not is_sentence_of_ours(error) and not isinstance(error, (OSError, MemoryError)):
            raise
        raise CellFailed(
            f"it is trained, but its model {model.name} could not be judged: {failure_sentence(error)}"
        ) from error


def _losses(run_dir: Path) -> dict[str, float | None]:
    """Return the losses over the last tenth of a run, those that it has."""
    losses: dict[str, float | None] = {}
    for name, metric in (("loss", LOSS), ("held_out_loss", _HELD_OUT_LOSS)):
        with suppress(UserError):
            value = read_objective(run_dir, metric)
            losses[name] = value if math.isfinite(value) else None
    return losses
