"""Optional backends for a run's rows, besides TensorBoard and metrics.jsonl.

RunRecord calls them on rank 0. An exception of a backend loses only its own rows, and never ends the training.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ddpzero.system.errors import require


class Backend(Protocol):
    """A destination of rows. Each method may raise any exception."""

    @property
    def name(self) -> str:
        """The destination, as the beginning of a sentence: "runs/x/metrics.csv"."""
        ...

    def start(self, config: Mapping[str, Any]) -> None:
        """Start, once metrics.jsonl contains only the rows that the run resumes from. config: the resolved config."""
        ...

    def row(self, row: Mapping[str, float]) -> None:
        """Write a row that metrics.jsonl already contains: `learner_step`, `time` and the metrics.

        A row that could not be written to metrics.jsonl is lost for all backends.
        """
        ...

    def end(self, has_failed: bool) -> None:
        """Finish: this process writes no more rows."""
        ...


def check_backends(*, wandb: bool) -> None:
    """Raise UserError if a backend needs a package that is not installed."""
    require(
        not wandb or importlib.util.find_spec("wandb") is not None,
        "logging.wandb=true needs the package wandb, which is not installed: pip install 'ddpzero[wandb]', or leave "
        "logging.wandb=false.",
    )


def make_backends(run_dir: Path, *, csv: bool, wandb: bool) -> list[Backend]:
    """Return the backends that logging.csv and logging.wandb ask for."""
    from ddpzero.run.csv_file import CsvFile
    from ddpzero.run.wandb_run import WandbRun

    backends: list[Backend] = []
    if csv:
        backends.append(CsvFile(run_dir))
    if wandb:
        backends.append(WandbRun(run_dir))
    return backends
