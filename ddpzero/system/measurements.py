"""A result of a benchmark, a match or a judge: one JSON line for programs, one row of a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from ddpzero.system.json_text import json_text
from ddpzero.system.terminal import plain_console


@dataclass(frozen=True)
class Measurement:
    """One value that a benchmark, a match or a judge measured, and the settings under which it did.

    figure: what was measured, e.g. "steps_per_second". unit: e.g. "1/s", empty for a plain ratio. Both are keys of
    the JSON lines, which scripts read.
    settings: what one needs to repeat the measurement. JSON-able; no key equals a field of this class. The same thing
    has the same name everywhere: `game.rows` and the like (see game_settings), `num_simulations`, `seed`, `seconds` for
    the duration, `low` and `high` for the 95 % interval of `value`.
    """

    bench: str
    game: str
    figure: str
    value: float
    unit: str
    settings: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return one line: an object with the fields and, on the same level, the settings."""
        record: dict[str, Any] = vars(self) | {"value": float(self.value)}
        del record["settings"]
        return json_text(record | self.settings)


def game_settings(parameters: Any) -> dict[str, Any]:
    """Return the parameters of a game, a dataclass or a dict, as settings of a measurement: {"game.size": 15}."""
    named = parameters if isinstance(parameters, dict) else asdict(parameters)
    return {f"game.{name}": value for name, value in named.items()}


def print_measurements(measurements: Sequence[Measurement], as_json: bool) -> None:
    """Print measurements as JSON lines, or as a table of figures, followed by benchmark, game and settings."""
    if as_json:
        for measurement in measurements:
            print(measurement.to_json(), flush=True)
        return
    table = Table()
    table.add_column("figure", overflow="fold")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    # A dict keeps the order and drops repetitions: the measurements of one benchmark share their settings.
    settings: dict[str, None] = {}
    for measurement in measurements:
        table.add_row(measurement.figure, readable(measurement.value), measurement.unit)
        named = " ".join(f"{name}={json_text(v)}" for name, v in measurement.settings.items())
        settings[f"{measurement.bench} {measurement.game}: {named}"] = None
    console = plain_console()
    console.print(table)
    for line in settings:
        console.print(line, style="dim")


def readable(value: float) -> str:
    """Return a value with four digits, or all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
