"""A measured figure: one JSON line for programs, one row of a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from ddpzero.system.json_text import json_text


@dataclass(frozen=True)
class Figure:
    """What a benchmark, a match or a judge measured, and under which settings.

    figure: what is counted, e.g. "steps_per_second"; unit: e.g. "1/s", empty for a plain ratio.
    settings: whatever one needs to measure it again; JSON-able, and none is named as a field of this class. One thing
    has one name everywhere: `game.rows` and the like (game_settings), `num_simulations`, `seed`, `seconds` for how long
    it took, `low` and `high` for the 95 % interval of `value`.
    """

    bench: str
    game: str
    figure: str
    value: float
    unit: str
    settings: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line, the settings beside the rest."""
        record: dict[str, Any] = vars(self) | {"value": float(self.value)}
        del record["settings"]
        return json_text(record | self.settings)


def game_settings(parameters: Any) -> dict[str, Any]:
    """The parameters of a game, a dataclass or a dict, as settings of a figure: {"game.size": 15}."""
    named = parameters if isinstance(parameters, dict) else asdict(parameters)
    return {f"game.{name}": value for name, value in named.items()}


def print_figures(figures: Sequence[Figure], as_json: bool) -> None:
    """Print figures: as JSON lines, or as a table with the settings under it."""
    if as_json:
        for figure in figures:
            print(figure.to_json(), flush=True)
        return
    table = Table("bench", "game", "figure", "value", "unit")
    table.columns[3].justify = "right"
    # A dict keeps the order and each line once: the figures of one benchmark share their settings.
    settings: dict[str, None] = {}
    for figure in figures:
        table.add_row(
            figure.bench, figure.game, figure.figure, _readable(figure.value), figure.unit
        )
        named = " ".join(f"{name}={json_text(value)}" for name, value in figure.settings.items())
        settings[f"{figure.bench} {figure.game}: {named}"] = None
    console = Console()
    console.print(table)
    for line in settings:
        console.print(line, style="dim", markup=False, highlight=False)


def _readable(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
