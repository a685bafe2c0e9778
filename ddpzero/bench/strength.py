"""How strong each game is after how long: runs the experiments of a folder and prints the tables of README as Markdown.

    bash launch/strength.sh [NAME ...]

Each NAME.yaml is an ablation (ablation/experiment.py) with a single variant. OUTPUT/NAME has its results,
OUTPUT/strength.json and OUTPUT/strength.md those of all experiments so far.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ddpzero.arena.judging import KEEPS_WHERE_IT_MATTERS
from ddpzero.bench.ablation.experiment import read_experiment
from ddpzero.bench.ablation.plan import Plan, prepare
from ddpzero.bench.ablation.report import Figure, figures, simulations_text
from ddpzero.bench.ablation.results import Results, claim, read_results
from ddpzero.bench.ablation.run import finish, say
from ddpzero.bench.ablation.training import TrainingStopped
from ddpzero.run.progress import duration_text
from ddpzero.system.errors import EXIT_CODE_OF_USER_ERROR, UserError, require
from ddpzero.system.json_text import json_text
from ddpzero.system.whole_files import replace_whole

_EXIT_CODE_OF_STOP = 130
_SHORT = {KEEPS_WHERE_IT_MATTERS: "where it matters"}


@dataclass(frozen=True)
class StrengthRow:
    """One figure at one moment. minutes: of training so far; run_minutes: of the whole run. low, high: of the seeds."""

    experiment: str
    title: str
    minutes: float | None
    run_minutes: float | None
    judge: str
    figure: str
    simulations: int | None
    median: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    command: str
    machine: str
    version: str
    date: str

    @property
    def text(self) -> str:
        """ "91.8 % (91.0-92.3)": the median, and the lowest and highest seed."""
        if len(self.by_seed) == 1:
            return f"{100 * self.median:.1f} %"
        return f"{100 * self.median:.1f} % ({100 * self.low:.1f}-{100 * self.high:.1f})"

    @property
    def column(self) -> tuple[str, str, int | None]:
        return self.judge, self.figure, self.simulations

    @property
    def by(self) -> tuple[str, int | None]:
        return self.judge, self.simulations


def main(words: Sequence[str] | None = None) -> int:
    """Run the experiments, print the tables, return the exit code."""
    options = _options(words)
    try:
        return run(read_plans(options.folder, options.names), options.output)
    except UserError as error:
        print(f"ddpzero: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_CODE_OF_USER_ERROR
    except (TrainingStopped, KeyboardInterrupt):
        say("stopped; the same command continues.")
        return _EXIT_CODE_OF_STOP


def read_plans(folder: Path, names: Sequence[str]) -> dict[str, Plan]:
    """Return the named experiments of a folder, all without names. Raises UserError."""
    known = sorted(file.stem for file in folder.glob("*.yaml"))
    for name in names:
        require(name in known, f"{name} is not one of {', '.join(known)}, the files of {folder}.")
    plans = {name: prepare(read_experiment(folder / f"{name}.yaml")) for name in names or known}
    for name, plan in plans.items():
        num_variants = len(plan.experiment.variants)
        require(num_variants == 1, f"{folder / name}.yaml has {num_variants} variants: give one.")
    return plans


def run(plans: dict[str, Plan], output: Path) -> int:
    """Run all experiments; print the tables of all results. Raises UserError, TrainingStopped."""
    experiments = [plan.experiment for plan in plans.values()]
    minutes = sum(len(e.seeds) * e.minutes[-1] for e in experiments if e.minutes)
    say(f"{len(plans)} experiments, {duration_text(60 * minutes)} of training, and their judgments")
    failures: list[str] = []
    for name, plan in plans.items():
        say(f"{name}:")
        with claim(output / name):
            failures += finish(plan, output / name)[1]
        rows = read_rows(plans, output)
        document = json_text([asdict(row) for row in rows], indent=1)
        replace_whole(output / "strength.json", f"{document}\n".encode())
        replace_whole(output / "strength.md", f"{markdown(rows)}\n".encode())
    print(markdown(read_rows(plans, output)))
    for failure in failures:
        say(failure)
    return 1 if failures else 0


def read_rows(names: Iterable[str], output: Path) -> list[StrengthRow]:
    """Return the rows of all finished trainings."""
    return [
        _row(name, results, figure)
        for name in names
        if (results := read_results(output / name)) is not None and results.cells
        for figure in figures(results)
    ]


def _row(name: str, results: Results, figure: Figure) -> StrengthRow:
    by_seed = figure.rows[0].values.mean(axis=1)
    experiment = results.experiment
    return StrengthRow(
        experiment=name,
        title=experiment.title or name,
        minutes=figure.minutes,
        run_minutes=experiment.minutes[-1] if experiment.minutes else None,
        judge=figure.judge,
        figure=figure.figure,
        simulations=figure.simulations,
        median=float(np.median(by_seed)),
        low=float(by_seed.min()),
        high=float(by_seed.max()),
        by_seed=tuple(map(float, by_seed)),
        command=f"bash launch/strength.sh {name}",
        machine=results.machine,
        version=results.cells[-1].version,
        date=max(cell.date for cell in results.cells),
    )


# ---------------------------------------------------------------------------- Markdown


def markdown(rows: Sequence[StrengthRow]) -> str:
    """Return a table for each judge of a curve, over its minutes, and one table with a row for each other game."""
    curves = {r.title for r in rows if r.minutes != r.run_minutes}
    lines: list[str] = []
    for title in dict.fromkeys(r.title for r in rows if r.title in curves):
        lines += [*_curve([r for r in rows if r.title == title]), ""]
    lines += _others([r for r in rows if r.title not in curves])
    return "\n".join([*lines, *_origin(rows)])


def _curve(rows: Sequence[StrengthRow]) -> list[str]:
    """Return a table with a line for each minute of each run, and a column for each figure."""
    columns = list(dict.fromkeys(row.column for row in rows))
    # A heading has only what differs between the columns.
    has_figures = len({figure for _, figure, _ in columns}) > 1
    headings = [
        _judged_by(judge, simulations) + (f": {_SHORT.get(figure, figure)}" if has_figures else "")
        for judge, figure, simulations in columns
    ]
    lines = [f"| {rows[0].title}: minute | of a run of | {' | '.join(headings)} |"]
    lines += [f"|---|---|{'---|' * len(columns)}"]
    moments = dict.fromkeys((row.minutes, row.run_minutes) for row in rows)
    for minutes, run_minutes in moments:
        found = {
            r.column: r.text for r in rows if (r.minutes, r.run_minutes) == (minutes, run_minutes)
        }
        cells = [found.get(column, "") for column in columns]
        lines.append(f"| {minutes:g} | {run_minutes:g} minutes | {' | '.join(cells)} |")
    return [*lines, f"| one GPU | | not measured yet |{' |' * (len(columns) - 1)}"]


def _others(rows: Sequence[StrengthRow]) -> list[str]:
    """Return a table with a line for each game."""
    if not rows:
        return []
    lines = ["| game | training | strength |", "|---|---|---|"]
    for name in dict.fromkeys(row.experiment for row in rows):
        found = [row for row in rows if row.experiment == name]
        judged = dict.fromkeys((row.judge, row.simulations) for row in found)
        strength = "; ".join(
            f"{_judged_by(*by)}: "
            + ", ".join(f"{_SHORT.get(r.figure, r.figure)} {r.text}" for r in found if by == r.by)
            for by in judged
        )
        lines.append(f"| {found[0].title} | {found[0].run_minutes:g} minutes | {strength} |")
    return [*lines, "| all, on one GPU | | not measured yet |", ""]


def _judged_by(judge: str, simulations: int | None) -> str:
    return judge if simulations is None else f"{judge}, {simulations_text(simulations)}"


def _origin(rows: Sequence[StrengthRow]) -> list[str]:
    """Return what one needs to repeat the tables."""
    names = " ".join(dict.fromkeys(row.experiment for row in rows))
    machines, versions = ({getattr(row, key) for row in rows} for key in ("machine", "version"))
    num_seeds = sorted({len(row.by_seed) for row in rows})
    if not rows:
        return ["Nothing is measured yet."]
    dates = sorted({row.date for row in rows})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return [
        f"Share of positions in which the move keeps the outcome of perfect play, or match score: median of "
        f"{' or '.join(map(str, num_seeds))} seeds, in brackets the lowest and the highest. "
        f"`bash launch/strength.sh {names}`, {', '.join(sorted(versions))}, {when}, {', '.join(sorted(machines))}."
    ]


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="launch/strength.sh", description="Measure how strong each game is after how long."
    )
    parser.add_argument("folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("names", metavar="NAME", nargs="*", help="files of launch/strength (all)")
    parser.add_argument("--output", type=Path, default=Path("strength"), help="folder (strength)")
    # Names may also follow --output.
    return parser.parse_intermixed_args(words)


if __name__ == "__main__":
    sys.exit(main())
