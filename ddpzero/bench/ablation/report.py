"""Shows the results of an ablation: tables for people, measurements for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ddpzero.arena.judging import FIGURES_IN_JSON
from ddpzero.bench.ablation.comparison import Comparison, compare
from ddpzero.bench.ablation.experiment import BASE
from ddpzero.bench.ablation.results import Point, Results, Verdict
from ddpzero.bench.ablation.verdicts import SCORE
from ddpzero.system.measurements import Measurement

_CAPTION = (
    "seeds: lowest and highest mean. 95 %, p: of the difference, paired by\n"
    "position or opening; they describe chance in these positions for these\n"
    "trainings. What other trainings would change shows in the seeds."
)
# What is told of the trainings themselves, with its unit.
_OF_TRAININGS = {
    "updates_per_second": "1/s",
    "samples_per_second": "1/s",
    "loss": "",
    "held_out_loss": "",
}


@dataclass(frozen=True)
class Row:
    """A figure of one variant. values: `[S, N]` by seed. comparison: None for the first variant, or without a pair."""

    variant: str
    seeds: tuple[int, ...]
    values: np.ndarray
    comparison: Comparison | None


@dataclass(frozen=True)
class Figure:
    """One figure at one moment, for all variants that have it."""

    minutes: float | None
    judge: str
    figure: str
    simulations: int | None
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        what = f"against {self.judge}" if self.figure == SCORE else self.judge
        by = "" if self.simulations is None else f", {simulations_text(self.simulations)}"
        when = "" if self.minutes is None else f", minute {self.minutes:g}"
        return f"{what}: {self.figure}{by}{when}"


def simulations_text(simulations: int) -> str:
    return "network alone" if simulations == 0 else counted(simulations, "simulation")


def counted(number: float, noun: str) -> str:
    """Return "1 minute", "2.5 minutes"."""
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


def figures(results: Results) -> Iterator[Figure]:
    """Yield all figures in the order of the judgments; variants in the order of the file."""
    for minutes in results.experiment.points:
        keys = {v.key: None for point in _points(results, minutes).values() for v in point.verdicts}
        for judge, figure, simulations in keys:
            found = _verdicts(results, minutes, (judge, figure, simulations))
            yield Figure(minutes, judge, figure, simulations, tuple(_rows(results, judge, found)))


def _points(results: Results, minutes: float | None) -> dict[tuple[str, int], Point]:
    """Return the finished trainings of the experiment at one moment, by variant and seed."""
    wanted = set(results.experiment.cells())
    return {
        cell.key: point
        for cell in results.cells
        if cell.key in wanted
        for point in cell.points
        if point.asked_minutes == minutes
    }


def _verdicts(
    results: Results, minutes: float | None, key: tuple[str, str, int | None]
) -> dict[tuple[str, int], Verdict]:
    return {
        cell: verdict
        for cell, point in _points(results, minutes).items()
        for verdict in point.verdicts
        if verdict.key == key
    }


def _rows(results: Results, judge: str, found: dict[tuple[str, int], Verdict]) -> Iterator[Row]:
    experiment = results.experiment
    for variant in experiment.variants:
        seeds = tuple(seed for seed in experiment.seeds if (variant, seed) in found)
        if seeds:
            values = np.stack([found[variant, seed].values for seed in seeds])
            comparison = _compare(experiment.first, variant, seeds, judge, found)
            yield Row(variant, seeds, values, comparison)


def _compare(
    first: str,
    variant: str,
    seeds: tuple[int, ...],
    judge: str,
    found: dict[tuple[str, int], Verdict],
) -> Comparison | None:
    """Compare with the first variant over the seeds that both have; a match against it compares by itself."""
    if judge == BASE:
        return compare(np.stack([found[variant, seed].values for seed in seeds]), np.array(0.5))
    common = [seed for seed in seeds if (first, seed) in found]
    if variant == first or not common:
        return None
    values, of_first = (
        np.stack([found[name, seed].values for seed in common]) for name in (variant, first)
    )
    return compare(values, of_first)


# ------------------------------------------------------------------------------ tables


def print_tables(results: Results, console: Console) -> None:
    for figure in figures(results):
        console.print(_table_of_figure(figure, results.experiment.first))
    console.print(_CAPTION, style="dim", highlight=False)
    console.print(_table_of_trainings(results))
    origins = sorted({f"{cell.machine}; {cell.version}" for cell in results.cells})
    console.print("\n".join(origins), style="dim", highlight=False)


def _table_of_figure(figure: Figure, first: str) -> Table:
    table = Table(
        # Rich would replace :100: in plain text by a picture.
        title=Text(figure.title),
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("variant", overflow="fold", min_width=16, max_width=24)
    table.add_column("mean", justify="right", min_width=6)
    table.add_column("seeds", justify="right", min_width=12)
    table.add_column(f"minus {first}"[:14], justify="right", min_width=8)
    table.add_column("95 %", justify="right", min_width=14)
    table.add_column("p", justify="right", min_width=6)
    for row in figure.rows:
        table.add_row(row.variant, f"{row.values.mean():.1%}", _seeds(row), *_difference(row))
    return table


def _seeds(row: Row) -> str:
    """Return the lowest and the highest mean of a seed; with one seed nothing."""
    means = 100 * row.values.mean(axis=1)
    return f"{means.min():.1f} - {means.max():.1f}" if len(means) > 1 else ""


def _difference(row: Row) -> tuple[str, str, str]:
    if (c := row.comparison) is None:
        return "", "", ""
    p_value = "<0.001" if c.p_value < 0.001 else f"{c.p_value:.3f}"
    interval = f"{100 * c.low:+z.1f} to {100 * c.high:+z.1f}"
    return f"{100 * c.difference:+z.1f}", interval, p_value


def _table_of_trainings(results: Results) -> Table:
    table = Table(title="Trainings, mean over seeds", title_justify="left", box=SIMPLE_HEAD)
    table.pad_edge = False
    table.add_column("variant", overflow="fold", min_width=16, max_width=22)
    # Offline there are no new samples.
    rate = "updates" if results.experiment.mode == "offline" else "samples/s"
    for heading in ("seeds", "minutes", "updates/s", rate, "loss", "held out"):
        table.add_column(heading, justify="right")
    for variant in results.experiment.variants:
        means = training_means(results, variant)
        if means is None:
            table.add_row(variant, "0")
            continue
        table.add_row(
            variant,
            f"{means['num_seeds']:.0f}",
            f"{means['minutes']:.2f}",
            f"{means['updates_per_second']:.1f}",
            f"{means['updates' if rate == 'updates' else 'samples_per_second']:,.0f}",
            *(f"{means[name]:.3f}" if name in means else "" for name in ("loss", "held_out_loss")),
        )
    return table


def training_means(results: Results, variant: str) -> dict[str, float] | None:
    """Return the means of a variant's trainings over its seeds; None without a finished one."""
    ends = [
        cell.points[-1]
        for seed in results.experiment.seeds
        if (cell := results.find(variant, seed)) is not None
    ]
    if not ends:
        return None
    columns: dict[str, list[float | None]] = {
        "minutes": [end.minutes for end in ends],
        "updates": [end.learner_step for end in ends],
        "updates_per_second": [end.learner_step / max(60 * end.minutes, 1e-9) for end in ends],
        "samples_per_second": [end.samples / max(60 * end.minutes, 1e-9) for end in ends],
        "loss": [end.loss for end in ends],
        "held_out_loss": [end.held_out_loss for end in ends],
    }
    means = {
        name: float(np.mean([value for value in values if value is not None]))
        for name, values in columns.items()
        if None not in values
    }
    return {"num_seeds": len(ends), **means}


# -------------------------------------------------------------------------------- JSON


def measurements(results: Results, game_name: str) -> Iterator[Measurement]:
    """Yield every figure of every variant, and the means of its trainings."""
    for figure in figures(results):
        for row in figure.rows:
            settings: dict[str, Any] = {
                "variant": row.variant,
                "judge": figure.judge,
                "num_simulations": figure.simulations,
                "minutes": figure.minutes,
                "seeds": list(row.seeds),
                "num_positions": row.values.shape[1],
            }
            name = FIGURES_IN_JSON.get(figure.figure, figure.figure)
            by_seed = {"by_seed": [float(mean) for mean in row.values.mean(axis=1)]}
            mean = float(row.values.mean())
            yield Measurement("ablate", game_name, name, mean, "", settings | by_seed)
            if (c := row.comparison) is not None:
                settings |= {"low": c.low, "high": c.high, "p_value": c.p_value}
                settings["by_seed"] = [float(value) for value in c.by_seed]
                difference = f"{name}_difference"
                yield Measurement("ablate", game_name, difference, c.difference, "", settings)
    for variant in results.experiment.variants:
        means = training_means(results, variant) or {}
        for name, unit in _OF_TRAININGS.items():
            if name in means:
                settings = {"variant": variant, "minutes": means["minutes"]}
                yield Measurement("ablate", game_name, name, means[name], unit, settings)
