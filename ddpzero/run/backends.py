"""Where the rows of a run go besides TensorBoard and metrics.jsonl: optional places behind one small interface.

RunRecord calls them on rank 0. Whatever a backend raises costs its own rows only, never the training.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ddpzero.system.errors import require


class Backend(Protocol):
    """One place. Each method may raise anything."""

    @property
    def name(self) -> str:
        """The place, as the beginning of a sentence: "runs/x/metrics.csv"."""
        ...

    def start(self, config: Mapping[str, Any]) -> None:
        """Begin, once metrics.jsonl holds the rows that the run goes on from. config: the resolved one."""
        ...

    def row(self, row: Mapping[str, float]) -> None:
        """Take in a row of metrics.jsonl, which is there already: `learner_step`, `time` and the metrics."""
        ...

    def end(self, has_failed: bool) -> None:
        """Finish; the run is over for this process."""
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
