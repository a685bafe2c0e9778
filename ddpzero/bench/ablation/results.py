"""The results of an ablation on disk, results.json: its experiment and its finished trainings."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero.bench.ablation.experiment import CellKey, Experiment, experiment_from
from ddpzero.config.strict import make_dataclass
from ddpzero.run.differences import ABSENT, differences
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import read_json
from ddpzero.system.json_text import json_text
from ddpzero.system.whole_files import replace_whole

RESULTS_FILE = "results.json"
_LOCK_FILE = ".lock"


@dataclass(frozen=True)
class Verdict:
    """One figure of one model, position by position or opening by opening.

    judge: the file of the positions, or the opponent. figure: what was counted. simulations: per move; None: as in the
    config. quarters: a digit for each position or opening, its value in quarters: 0 is wrong or both games lost, 4 is
    right or both games won.
    """

    judge: str
    figure: str
    simulations: int | None
    quarters: str

    @property
    def key(self) -> tuple[str, str, int | None]:
        return self.judge, self.figure, self.simulations

    @property
    def values(self) -> np.ndarray:
        """`[n]` in [0, 1]."""
        return (np.frombuffer(self.quarters.encode(), np.uint8) - ord("0")) / 4


def quarters_of(values: np.ndarray) -> str:
    """Return the values `[n]`, quarters in [0, 1], as digits."""
    return "".join(map(str, np.rint(4 * np.asarray(values, dtype=np.float64)).astype(int)))


@dataclass(frozen=True)
class Point:
    """A training at one moment. asked_minutes: None for its end after a number of updates; minutes: the model's.

    loss, held_out_loss: at the end of a training, on its batches and on the games that it does not train on.
    """

    asked_minutes: float | None
    minutes: float
    model: str
    learner_step: int
    samples: int
    verdicts: tuple[Verdict, ...]
    loss: float | None = None
    held_out_loss: float | None = None


@dataclass(frozen=True)
class Cell:
    """A finished training.

    overrides: what its variant added to the settings. version: of ddpzero. machine: where it ran, or ended if it was
    continued elsewhere. seconds: of training and judging, by the wall.
    """

    variant: str
    seed: int
    overrides: tuple[str, ...]
    version: str
    machine: str
    date: str
    seconds: float
    points: tuple[Point, ...]

    @property
    def key(self) -> CellKey:
        return CellKey(self.variant, self.seed)


@dataclass(frozen=True)
class Results:
    """All finished trainings of an experiment."""

    experiment: Experiment
    cells: tuple[Cell, ...] = ()

    def find(self, variant: str, seed: int) -> Cell | None:
        return next((cell for cell in self.cells if cell.key == (variant, seed)), None)

    def save(self, folder: Path) -> None:
        """Replace the file as a whole. Raises OSError."""
        document = {
            "experiment": self.experiment.to_json(),
            "cells": [asdict(cell) for cell in self.cells],
        }
        replace_whole(folder / RESULTS_FILE, f"{json_text(document, indent=1)}\n".encode())


def read_results(folder: Path) -> Results | None:
    """Return the results in a folder; None if it has none. Raises UserError for a damaged file."""
    path = folder / RESULTS_FILE
    if not path.exists():
        return None
    document = read_json(path)
    try:
        # Older files name one machine for all trainings.
        common = {"machine": document["machine"]} if "machine" in document else {}
        cells = tuple(
            make_dataclass(Cell, {**common, **cell}, "cells") for cell in document["cells"]
        )
        return Results(experiment_from(document["experiment"]), cells)
    except (UserError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} has no results that this version can read ({error}): move it away, or choose another --output."
        ) from None


def continue_results(before: Results, experiment: Experiment, folder: Path) -> Results:
    """Return the earlier results for a changed experiment, which may have other variants and seeds.

    Raises UserError if finished trainings would no longer belong to it.
    """
    old, new = before.experiment.without_cells(), experiment.without_cells()
    changes = list(differences(old.to_json(), new.to_json()))
    for cell in before.cells:
        if (overrides := experiment.variants.get(cell.variant)) is not None:
            key = f"variants.{cell.variant}"
            changes += differences({key: list(cell.overrides)}, {key: overrides})
    texts = [f"{key}: was {_text(was)}, is {_text(now)}" for key, was, now in changes]
    num_cells = len(before.cells)
    require(
        not texts or not num_cells,
        f"{folder} has {num_cells} finished training{'' if num_cells == 1 else 's'} of another experiment "
        f"({'; '.join(dict.fromkeys(texts))}). Only variants and seeds may be added or removed: restore the rest, or "
        "choose another --output.",
    )
    return Results(experiment, before.cells)


def _text(value: Any) -> str:
    return "absent" if value is ABSENT else repr(value)[:200]


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold the folder's lock within the block. Raises UserError if another process has it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UserError(
            f"{folder} is in use by another ddpzero ablate: wait for it, or choose another --output."
        ) from None
    finally:
        os.close(lock)
