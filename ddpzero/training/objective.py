"""The objective of a sweep, which is a counter or a metric of each job's run; a job's share of the machine's cores."""

from __future__ import annotations

from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ddpzero.run.record import METRICS_FILE, read_status
from ddpzero.settings import Settings
from ddpzero.system.cores import default_num_actors
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import is_finite_number, parse_json_line
from ddpzero.training.counters import Counters

# The objective is a mean over this last share of a run's updates.
_LAST_SHARE = 0.1
_COUNTERS = tuple(field.name for field in fields(Counters) if field.name != "round_is_played")


def check_objective(name: str | None) -> None:
    """Raise UserError for an objective that no run can have. Metrics of plugins are checked at the end of a job."""
    require(
        name is None or "/" in name or name in _COUNTERS,
        f"sweep.objective={name} is not a counter of a run: the counters are {', '.join(_COUNTERS)}. Name a metric "
        "as in TensorBoard, with its group: losses/total.",
    )


def read_objective(run_dir: Path, name: str) -> float:
    """Return a counter of a run, or the mean of a metric over the last tenth of its updates.

    NaN if the metric was not finite there. Raises UserError if the run has no such metric.
    """
    check_objective(name)
    if name in _COUNTERS:
        return float(((read_status(run_dir) or {}).get("counters") or {}).get(name, 0))
    rows = _read_rows(run_dir / METRICS_FILE)
    if not any(name in row for row in rows):
        raise UserError(_unknown_metric(run_dir, name, {key for row in rows for key in row}))
    return _mean_at_the_end(rows, name)


def _mean_at_the_end(rows: list[dict[str, Any]], name: str) -> float:
    """Return the mean over the rows in the last tenth of the updates, weighted by the updates of each row.

    Thus a last row over a short interval has little weight. The last row with this metric is always included.
    """
    first_step = (1 - _LAST_SHARE) * rows[-1]["learner_step"]
    before = [0, *(row["learner_step"] for row in rows)]
    entries = [
        (row[name], row["learner_step"] - step, row["learner_step"])
        for step, row in zip(before, rows, strict=False)
        if name in row
    ]
    last = [entry for entry in entries if entry[2] > first_step] or entries[-1:]
    if not all(is_finite_number(value) for value, _, _ in last):
        return float("nan")
    weights = [weight for _, weight, _ in last]
    if sum(weights) <= 0:
        weights = [1] * len(last)
    return sum(w * entry[0] for w, entry in zip(weights, last, strict=True)) / sum(weights)


def _read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of metrics.jsonl that can be read; none if there is no file."""
    if not path.is_file():
        return []
    with open(path, "rb") as file:
        rows = [parse_json_line(line) for line in file]
    return [row for row in rows if row and is_finite_number(row.get("learner_step"))]


def _unknown_metric(run_dir: Path, name: str, keys: set[str]) -> str:
    metrics = sorted(key for key in keys if "/" in key)
    nearest = get_close_matches(name, metrics, n=1)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    return (
        f"sweep.objective={name} is not a metric of {run_dir}.{hint} Its metrics are {', '.join(metrics)}; the "
        f"counters are {', '.join(_COUNTERS)}."
    )


def share_cores(settings: Settings, jobs_at_once: int) -> Settings:
    """Return the settings with num_actors for a job's share of the machine's cores, unless num_actors is set."""
    if settings.actors.num_actors is not None or jobs_at_once == 1:
        return settings
    actors = replace(settings.actors, num_actors=default_num_actors(jobs_at_once))
    return replace(settings, actors=actors)
