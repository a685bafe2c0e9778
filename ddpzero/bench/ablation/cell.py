"""Trains one variant with one seed, and judges its models."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

from ddpzero.algorithms.base import HOLDOUT_GROUP, LOSS
from ddpzero.bench.ablation.experiment import CellKey
from ddpzero.bench.ablation.models import model_at, require_finished
from ddpzero.bench.ablation.plan import Plan
from ddpzero.bench.ablation.results import Point
from ddpzero.bench.ablation.training import offline_command, online_command, run_training
from ddpzero.bench.ablation.verdicts import verdicts
from ddpzero.system.errors import UserError
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
    first = CellKey(experiment.first, key.seed)
    points = []
    for minutes in experiment.points:
        # The last checkpoint may be a little older than the end of the run, if it was saved after the last update.
        at = None if minutes == experiment.points[-1] else minutes
        path, manifest = model_at(runs_dir / key.run_name, at)
        first_model = None
        if key.variant != experiment.first:
            first_model, _ = model_at(runs_dir / first.run_name, at)
        counters = manifest.counters
        losses = _losses(runs_dir / key.run_name) if at is None else {}
        points.append(
            Point(
                asked_minutes=minutes,
                minutes=float(counters["minutes"]),
                model=manifest.model,
                learner_step=int(counters["learner_step"]),
                samples=int(counters["samples"]),
                verdicts=tuple(verdicts(path, experiment.judge, key.seed, first_model)),
                **losses,
            )
        )
    return tuple(points)


def _losses(run_dir: Path) -> dict[str, float | None]:
    """Return the losses over the last tenth of a run, those that it has."""
    losses: dict[str, float | None] = {}
    for name, metric in (("loss", LOSS), ("held_out_loss", _HELD_OUT_LOSS)):
        with suppress(UserError):
            value = read_objective(run_dir, metric)
            losses[name] = value if math.isfinite(value) else None
    return losses
