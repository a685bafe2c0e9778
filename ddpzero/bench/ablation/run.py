"""Runs `ddpzero ablate FILE.yaml`: trains and judges what is not finished yet, then shows all results.

OUTPUT/results.json     the experiment and its finished trainings, replaced as a whole after each one
OUTPUT/runs/NAME        the run of each training, NAME = VARIANT-seedSEED
OUTPUT/logs/NAME.log    what it printed
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ddpzero.arena.judging import KEEPS
from ddpzero.bench.ablation.cell import train_and_judge
from ddpzero.bench.ablation.experiment import CellKey, Experiment, read_experiment
from ddpzero.bench.ablation.plan import Plan, prepare
from ddpzero.bench.ablation.report import measurements, print_tables, simulations_text
from ddpzero.bench.ablation.results import (
    Cell,
    Results,
    Verdict,
    claim,
    continue_results,
    read_results,
)
from ddpzero.bench.ablation.training import CellFailed, TrainingStopped
from ddpzero.bench.ablation.verdicts import SCORE
from ddpzero.run.progress import duration_text
from ddpzero.system.measurements import print_measurements
from ddpzero.system.origin import machine_text, version_text
from ddpzero.system.terminal import plain_console

OUTPUTS_FOLDER = Path("ablations")
_EXIT_CODE_OF_STOP = 130


def run_ablate(file: Path, output: Path | None = None, as_json: bool = False) -> int:
    """Run an ablation and print its tables, or one line of JSON per figure; return the exit code.

    output: default: ablations/ and the name of the file. Raises UserError.
    """
    plan = prepare(read_experiment(file))
    folder = output or OUTPUTS_FOLDER / file.stem
    with claim(folder):
        try:
            results, failures = finish(plan, folder)
        except (TrainingStopped, KeyboardInterrupt):
            option = "" if output is None else f" --output {output}"
            say(f"stopped; the same command continues: ddpzero ablate {file}{option}")
            return _EXIT_CODE_OF_STOP
    if as_json:
        print_measurements(list(measurements(results, plan.game.name)), True)
    else:
        print_tables(results, plain_console())
    for failure in failures:
        say(failure)
    return 1 if failures else 0


def finish(plan: Plan, folder: Path) -> tuple[Results, list[str]]:
    """Train and judge everything that is not finished; return all results, and a sentence for each failure.

    Raises UserError; TrainingStopped after a signal.
    """
    experiment = plan.experiment
    before = read_results(folder)
    results = Results(experiment)
    if before is not None:
        results = continue_results(before, experiment, folder)
    machine = machine_text()
    if others := sorted({cell.machine for cell in results.cells} - {machine}):
        say(f"earlier trainings ran on {' and on '.join(others)}, this machine is {machine}")
    results.save(folder)
    cells, failures = list(experiment.cells()), []
    clock = _Clock(experiment, len(cells), {cell.key: cell.seconds for cell in results.cells})
    for number, key in enumerate(cells, start=1):
        if results.find(*key) is not None:
            continue
        say(
            f"[{number}/{len(cells)}] {key.variant}, seed {key.seed}: training{clock.left(cells[number - 1 :])}"
        )
        started = time.monotonic()
        try:
            points = train_and_judge(plan, key, folder)
        except CellFailed as error:
            failures.append(f"{key.run_name} failed: {error}")
            say(failures[-1])
            continue
        cell = Cell(
            *key,
            overrides=tuple(experiment.variants[key.variant]),
            version=version_text(),
            machine=machine,
            date=time.strftime("%Y-%m-%d"),
            seconds=time.monotonic() - started,
            points=points,
        )
        clock.seconds[key] = cell.seconds
        results = replace(results, cells=(*results.cells, cell))
        results.save(folder)
        say(f"[{number}/{len(cells)}] {_summary(cell)}{clock.left(cells[number:])}")
    return results, failures


class _Clock:
    """Estimates the time that is left. seconds: of the finished trainings, with their judgments."""

    def __init__(
        self, experiment: Experiment, num_cells: int, seconds: dict[CellKey, float]
    ) -> None:
        self._minutes = experiment.minutes[-1] if experiment.minutes else None
        self._num_cells = num_cells
        self.seconds = dict(seconds)

    def left(self, cells: Sequence[CellKey]) -> str:
        """Return the end of a line, ", about 12 min left"; "" if it is not known or nothing is left."""
        num_left = sum(key not in self.seconds for key in cells)
        if not num_left:
            return ""
        if self.seconds:
            each = sum(self.seconds.values()) / len(self.seconds)
        elif self._minutes is not None:
            each = 60 * self._minutes
        else:
            return ""
        return f", about {duration_text(num_left * each)} left"


def _summary(cell: Cell) -> str:
    """Return one line about a finished training: its speed and its main figures at the end."""
    end = cell.points[-1]
    speed = f"{end.learner_step / max(60 * end.minutes, 1e-9):,.0f} updates/s"
    main = [_verdict_text(v) for v in end.verdicts if v.figure in (KEEPS, SCORE)]
    return f"{cell.variant}, seed {cell.seed}: {'; '.join([speed, *main])}"


def _verdict_text(verdict: Verdict) -> str:
    by = "" if verdict.simulations is None else f", {simulations_text(verdict.simulations)}"
    return f"{verdict.judge}{by} {verdict.values.mean():.1%}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
