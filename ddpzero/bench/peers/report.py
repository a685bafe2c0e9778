"""The figures of `ddpzero bench peers`, as measurements and as a table.

A variant named "best" has what is fastest for its program: batch, simulations per move, dtype. "float32" has this dtype
alone, "same_simulations" as many simulations per move as ddpzero. "python" is called from Python, step by step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from ddpzero.bench.peers.programs.protocol import Slice
from ddpzero.bench.peers.ratios import Estimate, estimate, ratio
from ddpzero.bench.peers.rounds import Measured
from ddpzero.system.json_text import json_text
from ddpzero.system.measurements import Measurement
from ddpzero.system.terminal import plain_console

OWN = "ddpzero"
_BEST = "best"
# More CPU time than time has passed would mean more than one core.
_MOST_CORES = 1.05


@dataclass(frozen=True)
class Comparison:
    """One workload. measured: by program. missing: peers that could not be installed, and why."""

    workload: str
    measured: dict[str, Measured]
    missing: dict[str, str]

    def problems(self) -> dict[str, str]:
        """Return the peers without figures, and why."""
        failed = {name: found.problem for name, found in self.measured.items() if found.problem}
        return {**self.missing, **failed}

    def has_peer(self) -> bool:
        """Return whether any peer was measured."""
        return any(row.ratio is not None for row in rows_of(self))


@dataclass(frozen=True)
class Row:
    """A count of one variant. rate, cpu_rate: per second and per second of CPU time.

    ratio: how many times as many per second of CPU time ddpzero does, in what is comparable; None for ddpzero.
    cores: CPU time divided by time, the largest of all slices.
    """

    workload: str
    program: str
    variant: str
    conditions: dict[str, Any]
    count: str
    rate: Estimate
    cpu_rate: Estimate
    ratio: Estimate | None
    cores: float


def rows_of(comparison: Comparison) -> Iterator[Row]:
    """Yield the rows of a workload: first ddpzero's, then its peers'."""
    own = comparison.measured[OWN]
    for program, found in comparison.measured.items():
        for variant, slices in found.slices.items():
            same = own.slices.get(variant, own.slices[_BEST])
            for count in slices[0].counts:
                rates = _cpu_rates(slices, count)
                yield Row(
                    comparison.workload,
                    program,
                    variant,
                    found.variants[variant],
                    count,
                    estimate([each.counts[count] / each.seconds for each in slices]),
                    estimate(rates),
                    None if program == OWN else ratio(_cpu_rates(same, count), rates),
                    max(each.cpu_seconds / each.seconds for each in slices),
                )


def measurements(
    comparison: Comparison, game: str, conditions: dict[str, Any]
) -> Iterator[Measurement]:
    """Yield every figure; a peer without figures has one without a value, with its problem."""
    for row in rows_of(comparison):
        of_row = {
            "workload": row.workload,
            "program": row.program,
            "variant": row.variant,
            "versions": comparison.measured[row.program].versions,
            "cores": row.cores,
            **row.conditions,
            **conditions,
        }
        figures = [
            (f"{row.count}_per_second", row.rate, "1/s"),
            (f"{row.count}_per_cpu_second", row.cpu_rate, "1/s"),
        ]
        if row.ratio is not None:
            figures.append((f"{row.count}_ratio", row.ratio, ""))
        for name, (value, low, high), unit in figures:
            interval = {"low": low, "high": high}
            yield Measurement("peers", game, name, value, unit, of_row | interval)
    for program, problem in comparison.problems().items():
        of_program = {"workload": comparison.workload, "program": program, "problem": problem}
        yield Measurement("peers", game, "problem", math.nan, "", of_program | conditions)


def print_comparison(
    comparison: Comparison, game: str, conditions: dict[str, Any], as_json: bool
) -> None:
    """Print JSON lines, or a table for each count, then versions, conditions and problems."""
    if as_json:
        for measurement in measurements(comparison, game, conditions):
            print(measurement.to_json(), flush=True)
        return
    console = plain_console()
    rows = list(rows_of(comparison))
    for count in dict.fromkeys(row.count for row in rows):
        console.print(f"{comparison.workload}: {count} per second of CPU time")
        console.print(_table([row for row in rows if row.count == count]))
    versions: dict[str, str] = {}
    for found in comparison.measured.values():
        versions |= found.versions
    texts = [f"{name}={version}" for name, version in versions.items()]
    texts += [f"{name}={json_text(value)}" for name, value in conditions.items()]
    console.print(f"peers {game}: {' '.join(texts)}", style="dim", soft_wrap=True)
    for row in rows:
        if row.cores > _MOST_CORES:
            console.print(f"{row.program} used {row.cores:.2f} cores.", soft_wrap=True)
    for program, problem in comparison.problems().items():
        console.print(f"no figures of {program}: {problem}", soft_wrap=True)


def _table(rows: Sequence[Row]) -> Table:
    table = Table("program", "games x simulations", "per second", "ddpzero is", "95 % interval")
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        table.add_row(row.program, _conditions(row), f"{row.cpu_rate.value:,.0f}", *_ratio(row))
    return table


def _conditions(row: Row) -> str:
    """Return "128 x 200, bfloat16", "64 games" or "1000 simulations"."""
    given = row.conditions
    match given.get("batch_size"), given.get("num_simulations"):
        case None, None:
            sizes = []
        case games, None:
            sizes = [f"{games} games"]
        case None, simulations:
            sizes = [f"{simulations} simulations"]
        case games, simulations:
            sizes = [f"{games} x {simulations}"]
    return ", ".join(
        [*sizes, *(given[name] for name in ("precision", "language") if name in given)]
    )


def _ratio(row: Row) -> tuple[str, str]:
    if row.ratio is None:
        return "", ""
    value, low, high = (_factor(number) for number in row.ratio)
    return f"{value} x", f"{low} to {high}"


def _factor(number: float) -> str:
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def _cpu_rates(slices: Sequence[Slice], count: str) -> list[float]:
    return [each.rate(count) for each in slices]
