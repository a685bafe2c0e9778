"""Runs all benchmarks, each as a command of its own, and writes a report. Called by `ddpzero bench all`.

The report is replaced as a whole after each benchmark, so that one that is stopped has what was measured before.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from ddpzero.system.guarded_files import parse_json_line
from ddpzero.system.json_text import json_text
from ddpzero.system.measurements import readable
from ddpzero.system.origin import machine_text, version_text
from ddpzero.system.other_load import load_of_others
from ddpzero.system.parent import with_parent
from ddpzero.system.whole_files import replace_whole

# The settings of each benchmark.
_SMALL = ("network.blocks=1", "network.channels=16", "learner.batch_size=64")
_USUAL = ("network.blocks=4", "network.channels=64")
_BENCHES: dict[str, tuple[str, ...]] = {
    "rules": (),
    "search": ("evaluator=network", "search.num_simulations=200", *_USUAL),
    "evaluator": ("actors.num_games=256", *_USUAL),
    "learner": ("network.blocks=3", "network.channels=32"),
    "checkpoint": ("network.blocks=3", "network.channels=32", "replay.capacity=300000"),
    "pipeline": (
        *("evaluator=simulated", "simulated.batch_latency_ms=2"),
        *("simulated.positions_per_second=500000", "search.num_simulations=64"),
    ),
    "memory": ("search.num_simulations=200", *_USUAL),
    "scaling": ("actors.num_games=32", "search.num_simulations=8", *_SMALL),
    "serve": (),
    "peers": ("network.blocks=4", "search.num_simulations=200"),
}
# The modules without which a benchmark is left out.
_NEEDS = {"serve": ("fastapi", "sqlalchemy", "uvicorn", "httpx2")}
_QUICK_SCALING = ("--ranks", "1,2")
_QUICK_PIPELINE = ("--actors", "1,2")
# Of one benchmark: for processes that start and compile, and for each second that it measures.
_LEAST_SECONDS = 300.0
_SECONDS_PER_SECOND = 60.0
# For a benchmark that is ended to remove its temporary folders.
_SECONDS_TO_END = 20.0

_FIELDS = ("bench", "game", "figure", "value", "unit")
Row = dict[str, Any]


class Bench(NamedTuple):
    """A benchmark to run. words: of its command."""

    name: str
    words: tuple[str, ...]

    @property
    def command(self) -> str:
        return shlex.join(["ddpzero", *self.words])


@dataclass
class Outcome:
    """What a benchmark came to. rows: its lines of JSON. problem: a sentence, "" if it succeeded.

    load: of other programs when it began, see load_of_others.
    """

    bench: Bench
    rows: list[Row] = field(default_factory=list)
    problem: str = ""
    seconds: float = 0.0
    load: str = ""


def all_benches(game: str, seconds: float, quick: bool, peers: bool, seed: int) -> list[Bench]:
    """Return the benchmarks that can run here, in their order. quick: with fewer ranks and actors."""
    found = []
    for name, settings in _BENCHES.items():
        if (name == "peers" and not peers) or not all(map(find_spec, _NEEDS.get(name, ()))):
            continue
        more = {"scaling": _QUICK_SCALING, "pipeline": _QUICK_PIPELINE}.get(name, ())
        words = ("bench", name, f"game={game}", *settings, *(more if quick else ()))
        found.append(Bench(name, (*words, "--seconds", f"{seconds:g}", "--seed", str(seed))))
    return found


def run_all(
    benches: Sequence[Bench], seconds: float, report: Path | None, as_json: bool
) -> list[Outcome]:
    """Run benchmarks one after the other; tell of each on standard error, and write the report after each.

    seconds: that each measures; it is ended after a multiple of that. report: None: print it at the end. as_json: print
    the lines of all benchmarks. Raises OSError if the report cannot be written.
    """
    outcomes = []
    for number, bench in enumerate(benches, 1):
        print(f"{number}/{len(benches)} {bench.command}", file=sys.stderr, flush=True)
        load = load_of_others()
        outcome = run(bench, _LEAST_SECONDS + _SECONDS_PER_SECOND * seconds)
        outcome.load = load
        outcomes.append(outcome)
        took = f"{outcome.problem or 'done'} ({outcome.seconds:.0f} s)"
        print(f"{number}/{len(benches)} {bench.name}: {took}", file=sys.stderr, flush=True)
        if as_json:
            _print_lines(outcome)
        if report is not None:
            replace_whole(report, markdown(outcomes, benches[number:]).encode())
    if report is None and not as_json:
        print(markdown(outcomes, ()), end="")
    return outcomes


def run(bench: Bench, limit_seconds: float) -> Outcome:
    """Run a benchmark in a process of its own, for limit_seconds at most."""
    outcome, started = Outcome(bench), time.monotonic()
    process = _started([sys.executable, "-m", "ddpzero.cli", *bench.words, "--json"])
    try:
        output, errors = process.communicate(timeout=limit_seconds)
        if process.returncode != 0:
            outcome.problem = _last_sentence(errors, process.returncode)
    except subprocess.TimeoutExpired:
        output = b""
        outcome.problem = f"it was ended after {limit_seconds:g} s."
    finally:
        _end(process)
    outcome.rows = [row for line in output.splitlines() if (row := parse_json_line(line))]
    outcome.seconds = time.monotonic() - started
    if not outcome.rows and not outcome.problem:
        outcome.problem = "it printed no figure."
    return outcome


def _started(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that its processes can be ended with it; it ends with this one."""
    return subprocess.Popen(
        with_parent(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program with all its processes: in good order if it still runs, then at once.

    By SIGTERM: a program whose parent runs in the background of a script ignores SIGINT.
    """
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_SECONDS_TO_END)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_sentence(errors: bytes, exit_code: int) -> str:
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else f"it ended with exit code {exit_code}."
    return last.removeprefix("ddpzero: ")


def _print_lines(outcome: Outcome) -> None:
    command = outcome.bench.command
    for row in outcome.rows:
        print(json_text({**row, "command": command}), flush=True)
    if outcome.problem:
        failure = {"bench": outcome.bench.name, "error": outcome.problem, "command": command}
        print(json_text(failure), flush=True)


# ---------------------------------------------------------------- the report


def markdown(outcomes: Sequence[Outcome], missing: Sequence[Bench]) -> str:
    """Return the report as Markdown. missing: benchmarks that have not run yet."""
    lines = [
        *("# Benchmarks of ddpzero", "", "| | |", "|---|---|"),
        *(f"| {name} | {_cell(text)} |" for name, text in _origin()),
        "",
    ]
    lines += ["| benchmark | outcome | took |", "|---|---|---|"]
    for outcome in outcomes:
        number = len(outcome.rows)
        text = outcome.problem or f"{number} figure{'' if number == 1 else 's'}"
        text += f"; {outcome.load}, so figures are too low" if outcome.load else ""
        lines.append(f"| {outcome.bench.name} | {_cell(text)} | {outcome.seconds:.0f} s |")
    lines += [f"| {bench.name} | not measured yet | |" for bench in missing]
    for outcome in outcomes:
        lines += ["", f"## {outcome.bench.name}", "", f"    {outcome.bench.command}", ""]
        lines += [outcome.problem, ""] if outcome.problem else []
        lines += _table(outcome.rows) if outcome.rows else []
    return "\n".join(lines).rstrip() + "\n"


def _origin() -> Iterator[tuple[str, str]]:
    yield "machine", machine_text()
    yield "version", version_text()
    names = ("torch", "numpy", "numba")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    yield "with", f"Python {platform.python_version()}, {versions}, {platform.platform()}"
    yield "date", datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")


def _table(rows: Sequence[Row]) -> list[str]:
    """Return a table with a line for each figure, and a column for each combination of what was varied."""
    varied = _varied(rows)

    def label(row: Row) -> str:
        return " ".join(f"{name}={row[name]}" for name in varied)

    columns = list(dict.fromkeys(map(label, rows)))
    values = {(row["figure"], label(row)): row["value"] for row in rows}
    most = {row["figure"]: 0.0 for row in rows}
    for row in rows:
        most[row["figure"]] = max(most[row["figure"]], abs(row["value"] or 0.0))
    units = {row["figure"]: _readable_unit(row["unit"], most[row["figure"]]) for row in rows}
    heads = [column or "value" for column in columns]
    lines = [_line(["figure", "unit", *heads]), _line(["---"] * 2 + ["---:"] * len(heads))]
    for figure, (unit, factor) in units.items():
        cells = [_value(values.get((figure, column)), factor) for column in columns]
        lines.append(_line([figure, unit, *cells]))
    return lines


def _varied(rows: Sequence[Row]) -> list[str]:
    """Return the settings that tell figures of the same name apart, at least one of which has several values."""
    names = [name for name in rows[0] if name not in _FIELDS]
    of_first = [row for row in rows if row["figure"] == rows[0]["figure"]]
    return [
        name
        for name in names
        if all(name in row for row in rows) and len({str(row[name]) for row in of_first}) > 1
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _readable_unit(unit: str, most: float) -> tuple[str, float]:
    """Return the unit in which a figure is shown, and the factor to it. most: its largest value."""
    if unit != "s" or most >= 1 or most == 0:
        return unit, 1.0
    return ("ms", 1e3) if most >= 1e-3 else ("us", 1e6)


def _value(value: float | None, factor: float) -> str:
    return "" if value is None else readable(factor * value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
