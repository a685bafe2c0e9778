"""Tables of strength over time, as Markdown, from the results of ablations with a single variant: see strength.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ddpzero.arena.judging import BEST, KEEPS, KEEPS_WHERE_IT_MATTERS
from ddpzero.bench.ablation.report import Figure, counted, figures, simulations_text
from ddpzero.bench.ablation.results import Results, read_results
from ddpzero.bench.ablation.verdicts import SCORE

_SHORT = {KEEPS_WHERE_IT_MATTERS: "where it matters"}
# What the figures of a table are.
_MEANINGS = {
    KEEPS: "Keeps the outcome: share of positions in which the move keeps the outcome of perfect play.",
    KEEPS_WHERE_IT_MATTERS: "Where it matters: share of positions in which the move keeps the outcome of perfect play, "
    "among those in which not every move does.",
    BEST: "Exactly best: share of positions in which no move is better by perfect play.",
    SCORE: "Score: share of games won, draws counted as half.",
}


@dataclass(frozen=True)
class StrengthRow:
    """One figure at one moment. minutes: of training so far; run_minutes: of the whole run. low, high: of the seeds.

    is_shown: in the tables. machines, versions, dates: all that its trainings have.
    """

    experiment: str
    title: str
    minutes: float
    run_minutes: float
    judge: str
    figure: str
    simulations: int | None
    median: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    is_shown: bool
    command: str
    machines: tuple[str, ...]
    versions: tuple[str, ...]
    dates: tuple[str, ...]

    @property
    def text(self) -> str:
        """ "91.8 % (91.0-92.3)": the median, and the lowest and highest seed if they differ."""
        median, low, high = (f"{100 * share:.1f}" for share in (self.median, self.low, self.high))
        return f"{median} %" if low == high else f"{median} % ({low}-{high})"

    @property
    def short_figure(self) -> str:
        if self.figure == SCORE:
            return f"score against {self.judge}"
        return _SHORT.get(self.figure, self.figure)


def read_rows(names: Iterable[str], output: Path) -> list[StrengthRow]:
    """Return the rows of all finished trainings of these experiments; none for one without results."""
    rows: list[StrengthRow] = []
    for name in names:
        results = read_results(output / name)
        if results is not None and results.experiment.minutes:
            found = list(figures(results))
            names_of_figures = {figure.figure for figure in found}
            shown = names_of_figures & {*results.experiment.figures} or names_of_figures
            rows += [_row(name, results, figure, {*shown, SCORE}) for figure in found]
    return rows


def _row(name: str, results: Results, figure: Figure, shown: set[str]) -> StrengthRow:
    row, experiment = figure.rows[0], results.experiment
    by_seed = row.values.mean(axis=1)
    cells = [cell for seed in row.seeds if (cell := results.find(row.variant, seed)) is not None]
    assert figure.minutes is not None, "read_rows takes experiments with minutes"
    return StrengthRow(
        experiment=name,
        title=experiment.title or name,
        minutes=figure.minutes,
        run_minutes=experiment.minutes[-1],
        judge=figure.judge,
        figure=figure.figure,
        simulations=figure.simulations,
        median=float(np.median(by_seed)),
        low=float(by_seed.min()),
        high=float(by_seed.max()),
        by_seed=tuple(map(float, by_seed)),
        is_shown=figure.figure in shown,
        command=f"bash launch/strength.sh {name}",
        machines=tuple(sorted({cell.machine for cell in cells})),
        versions=tuple(sorted({cell.version for cell in cells})),
        dates=tuple(sorted({cell.date for cell in cells})),
    )


def markdown(rows: Sequence[StrengthRow]) -> str:
    """Return a table for each game with a curve, with a line for each moment; one for the others; and a caption."""
    rows = [row for row in rows if row.is_shown]
    if not rows:
        return "Nothing is measured yet."
    curves = dict.fromkeys(row.title for row in rows if row.minutes != row.run_minutes)
    lines: list[str] = []
    for title in curves:
        lines += [*_curve([row for row in rows if row.title == title]), ""]
    if others := [row for row in rows if row.title not in curves]:
        lines += [*_others(others), ""]
    return "\n".join([*lines, _caption(rows), "", *_origins(rows)])


def _curve(rows: Sequence[StrengthRow]) -> list[str]:
    """Return a table with a line for each minute of each run, and a column for each figure and number of simulations.

    A figure that all columns share stands above the table.
    """
    columns = dict.fromkeys((_what(row), row.simulations) for row in rows)
    figures_shown = list(dict.fromkeys(what for what, _ in columns))
    if len(figures_shown) == 1:
        lines = [f"{rows[0].title}, {figures_shown[0]}:", ""]
        headings = [_simulations_text(simulations) for _, simulations in columns]
    else:
        lines = [f"{rows[0].title}:", ""]
        headings = [_joined(what, _simulations_text(simulations)) for what, simulations in columns]
    lines += [f"| minute | {' | '.join(headings)} |", f"|---|{'---|' * len(columns)}"]
    for minutes, run_minutes in sorted({(row.minutes, row.run_minutes) for row in rows}):
        found = {
            (_what(row), row.simulations): row.text
            for row in rows
            if (row.minutes, row.run_minutes) == (minutes, run_minutes)
        }
        cells = [found.get(column, "") for column in columns]
        lines.append(f"| {minutes:g} of {run_minutes:g} | {' | '.join(cells)} |")
    return [*lines, f"| on one GPU | not measured yet |{' |' * (len(columns) - 1)}"]


def _others(rows: Sequence[StrengthRow]) -> list[str]:
    """Return a table with a line for each figure of each game; the game stands in its first line."""
    lines = [
        "| game | training | figure | network alone | with search | simulations |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row.experiment for row in rows):
        found = [row for row in rows if row.experiment == name]
        game, training = found[0].title, counted(found[0].run_minutes, "minute")
        for cells in _lines_of_game(found):
            lines.append(f"| {' | '.join([game, training, *cells])} |")
            game = training = ""
    return [*lines, "| all, on one GPU | | not measured yet | | | |"]


def _lines_of_game(rows: Sequence[StrengthRow]) -> Iterator[tuple[str, str, str, str]]:
    """Yield figure, network alone, with search, and its simulations: a line for each number of simulations."""
    for judge, figure in dict.fromkeys((row.judge, row.figure) for row in rows):
        of_figure = [row for row in rows if (row.judge, row.figure) == (judge, figure)]
        alone = "".join(row.text for row in of_figure if row.simulations == 0)
        searched = [row for row in of_figure if row.simulations != 0]
        what = of_figure[0].short_figure
        if not searched:
            yield what, alone, "", ""
        for row in searched:
            simulations = "" if row.simulations is None else str(row.simulations)
            yield what, alone, row.text, simulations
            alone = ""


def _what(row: StrengthRow) -> str:
    return row.short_figure if row.figure == SCORE else f"{row.short_figure} in {row.judge}"


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _simulations_text(simulations: int | None) -> str:
    return "" if simulations is None else simulations_text(simulations)


def _caption(rows: Sequence[StrengthRow]) -> str:
    """Say what the numbers are."""
    has_figures = {row.figure for row in rows}
    num_seeds = sorted({len(row.by_seed) for row in rows})
    sentences = ["One seed."]
    if num_seeds != [1]:
        seeds = " or ".join(map(str, num_seeds))
        sentences = [
            f"Median of {seeds} seeds, in brackets the lowest and the highest if they differ."
        ]
    sentences += [text for figure, text in _MEANINGS.items() if figure in has_figures]
    if part := next((row for row in rows if row.minutes != row.run_minutes), None):
        sentences.append(
            f"{part.minutes:g} of {part.run_minutes:g}: minute {part.minutes:g} of a run of {part.run_minutes:g}."
        )
    return " ".join(sentences)


def _origins(rows: Sequence[StrengthRow]) -> list[str]:
    """Return what one needs to repeat the tables: a line for all rows, or for each machine and version."""
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[StrengthRow]] = {}
    for row in rows:
        groups.setdefault((row.machines, row.versions), []).append(row)
    return [
        f"`bash launch/strength.sh {' '.join(dict.fromkeys(row.experiment for row in group))}`: "
        f"{' and '.join(versions)}, {_days(group)}, {' and '.join(machines)}."
        for (machines, versions), group in groups.items()
    ]


def _days(rows: Sequence[StrengthRow]) -> str:
    dates = sorted({date for row in rows for date in row.dates})
    return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
