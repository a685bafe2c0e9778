"""The table of `ddpzero monitor RUN --iterations`: one row for each iteration of schedule "rounds"."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ddpzero.run.checkpoint_files import CONFIG_FILE
from ddpzero.run.iterations import Iteration, load_iterations
from ddpzero.run.progress import duration_text
from ddpzero.run.record import METRICS_FILE
from ddpzero.system.errors import require
from ddpzero.system.guarded_files import read_yaml


def iterations_of(run_dir: Path) -> list[Iteration]:
    """Return the iterations of a run. Raises UserError if it has none."""
    learner = read_yaml(run_dir / CONFIG_FILE).get("learner")
    learner = learner if isinstance(learner, dict) else {}
    steps: Any = learner.get("steps_per_round")
    iterations = []
    if learner.get("schedule") == "rounds" and isinstance(steps, int) and steps >= 1:
        iterations = load_iterations(run_dir / METRICS_FILE, steps)
    require(
        bool(iterations),
        f"{run_dir} has no iterations: they are those of learner.schedule=rounds, after its first round.",
    )
    return iterations


def iterations_table(run_name: str, iterations: Sequence[Iteration]) -> Table:
    """Return the table. Columns that no iteration has are left out."""
    columns = {
        "length": [_text(i.length, ".1f") for i in iterations],
        "policy loss": [_text(i.policy_loss, ".3f") for i in iterations],
        "value loss": [_text(i.value_loss, ".3f") for i in iterations],
        "loss": [_text(None if i.policy_loss else i.total_loss, ".3f") for i in iterations],
        "arena score": [_text(i.score, ".1%") for i in iterations],
        "time": [duration_text(i.seconds) for i in iterations],
        "self-play": [_text(i.shares["self-play"], ".0%") for i in iterations],
        "train": [_text(i.shares["training"], ".0%") for i in iterations],
        "arena": [_text(i.shares["arena"], ".0%") for i in iterations],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    table = Table(
        title=f"{run_name}: iterations",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for heading in ("no.", *shown):
        table.add_column(heading, justify="right")
    for iteration, *cells in zip(iterations, *shown.values(), strict=True):
        table.add_row(str(iteration.number), *cells)
    return table


def _text(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"
