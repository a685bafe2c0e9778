"""`ddpzero monitor runs/x`: how a run is doing, from another terminal, also when it has ended or died.

Reads status.json and the checkpoints' manifests; never writes into the run folder and never imports torch.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from ddpzero.run.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    CheckpointError,
    check_size,
    newest_first,
    read_manifest,
)
from ddpzero.run.finder import RUNS_DIR, find_run
from ddpzero.run.progress import count_text, duration_text
from ddpzero.run.record import STATUS_FILE, read_status
from ddpzero.system.errors import UserError
from ddpzero.system.guarded_files import printable
from ddpzero.system.json_text import json_text

# A run that says nothing for so long is silent: it reports every logging.interval_seconds, but may be saving.
_SILENT_AFTER_SECONDS = 60.0
_INTERVAL_SECONDS = 2.0
# Of a folder that a run was started in, even if it says nothing of itself.
_SIGNS_OF_A_RUN = (STATUS_FILE, CONFIG_FILE)
_PANEL_COLUMNS = 39  # two of them in a terminal of 80

Health = Literal["running", "silent", "finished", "stopped", "failed", "died", "unknown"]

_STYLES: dict[Health, str] = {
    "running": "bold green",
    "silent": "bold yellow",
    "finished": "bold green",
    "stopped": "bold cyan",
    "failed": "bold red",
    "died": "bold red",
    "unknown": "bold yellow",
}


@dataclass(frozen=True)
class CheckpointLine:
    """One checkpoint on the disk. problem: why it is not whole, or ""; its content is not read."""

    model: str
    learner_step: int | None
    size_bytes: int
    problem: str


@dataclass(frozen=True)
class RunView:
    """What there is to see of a run. status: as RunRecord.status wrote it. sentence: its health in words."""

    run_dir: Path
    health: Health
    sentence: str
    status: Mapping[str, Any]
    checkpoints: list[CheckpointLine]


@dataclass(frozen=True)
class _Panel:
    """A title over rows of (name, text)."""

    title: str
    rows: list[tuple[str, str]]

    def render(self) -> RenderableType:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column()
        table.add_column(justify="right")
        for name, text in self.rows:
            table.add_row(escape(name), escape(text))
        return Panel(
            table,
            title=self.title,
            title_align="left",
            border_style="dim",
            width=_PANEL_COLUMNS - 1,
        )


def run_monitor(
    run_dir: str | Path,
    *,
    once: bool = False,
    as_json: bool = False,
    interval_seconds: float | None = None,
) -> None:
    """Show a run until Ctrl-C, or once; as_json: once, as one line. Raises UserError if there is no such run.

    run_dir: its folder, or its name in the folder of all runs.
    """
    text = str(run_dir)
    run_dir = find_run(text) or (Path(text) if "/" in text else RUNS_DIR / text)
    console = Console()

    def page() -> RenderableType:
        return render(look_at(run_dir), console.width)

    if as_json:
        print(json_text(_as_json(look_at(run_dir))))
    elif once or not console.is_terminal:
        console.print(page())
    else:
        with suppress(KeyboardInterrupt), Live(page(), console=console, screen=True) as live:
            while True:
                time.sleep(_INTERVAL_SECONDS if interval_seconds is None else interval_seconds)
                live.update(page(), refresh=True)
        console.print(page())


def look_at(run_dir: Path) -> RunView:
    """Read a run's folder. Raises UserError if there is no run in it."""
    status = read_status(run_dir)
    if status is None and any(os.path.lexists(run_dir / name) for name in _SIGNS_OF_A_RUN):
        status = {}
    if status is None:
        siblings = sorted(path.parent.name for path in run_dir.parent.glob("*/status.json"))
        others = f" Runs in {run_dir.parent}: {', '.join(siblings)}." if siblings else ""
        raise UserError(f"{run_dir} holds no run that ever started (no status.json).{others}")
    health, sentence = judge_health(status, now=time.time())
    return RunView(run_dir, health, sentence, status, _checkpoints(run_dir))


def judge_health(status: Mapping[str, Any], now: float) -> tuple[Health, str]:
    """Return whether a run lives, and a sentence; now: seconds since the epoch.

    On its own host by rank 0's process (its start time tells it from another one with that number), from elsewhere by
    the age of what it last said.
    """
    if not all(name in status for name in ("state", "pid", "host", "time")):
        return "unknown", f"{STATUS_FILE} cannot be read: whether the run goes on is not known"
    state = status["state"]
    where = f"process {status['pid']} on {status['host']}"
    silent_seconds = max(now - status["time"], 0.0)
    ago = f"{duration_text(silent_seconds)} ago"
    if state == "finished":
        return "finished", f"finished {ago}: {status.get('stop_reason', '')}"
    if state == "stopped":
        return "stopped", f"stopped {ago}: {status.get('stop_reason', '')}"
    if state == "failed":
        return "failed", f"failed {ago}: {status.get('error', '')}"
    if status["host"] == socket.gethostname() and not _is_process(status):
        return "died", f"{where} is gone, last heard of {ago}; the same command resumes the run"
    if silent_seconds > _SILENT_AFTER_SECONDS:
        return "silent", f"{where} was last heard of {ago}"
    return "running", f"{state}: {where}, heard of {ago}"


def render(view: RunView, width: int) -> RenderableType:
    """Return the page for rich, for a terminal of `width` columns."""
    status, scalars = view.status, view.status.get("scalars", {})
    style = _STYLES[view.health]
    head = f"[bold]{escape(str(view.run_dir))}[/]  [{style}]{escape(view.sentence)}[/]"
    panels = [
        _Panel("run", _run_rows(status, view.health)),
        _Panel("speed", _rows(scalars, "speed/", _per_second)),
        _Panel("losses", _rows(scalars, "losses/", _number)),
        _Panel("policy and value", _rows(scalars, ("policy/", "value/", "gradients/"), _number)),
        _Panel("self-play", _rows(scalars, "self_play/", _number)),
        _Panel("replay and memory", _rows(scalars, ("replay/", "memory/"), _number)),
        _Panel("time of the learner", _rows(scalars, "time/", _share)),
        _Panel("time of the actors", _rows(scalars, "time_actors/", _share)),
    ]
    return Group(head, _side_by_side(panels, width), _checkpoint_table(view.checkpoints))


def _side_by_side(panels: list[_Panel], width: int) -> RenderableType:
    """Stack the panels in as many columns as fit, each below the column that is shortest so far."""
    columns: list[list[_Panel]] = [[] for _ in range(max(1, width // _PANEL_COLUMNS))]
    for panel in panels:
        if panel.rows:
            shortest = min(columns, key=lambda column: sum(len(each.rows) + 2 for each in column))
            shortest.append(panel)
    grid = Table.grid(padding=(0, 1))
    grid.add_row(*(Group(*(panel.render() for panel in column)) for column in columns))
    return grid


def _run_rows(status: Mapping[str, Any], health: Health) -> list[tuple[str, str]]:
    counters = status.get("counters", {})
    rows = [
        ("epoch", status.get("epoch")),
        ("step", status.get("learner_step")),
        ("episodes", counters.get("episodes")),
        ("samples", counters.get("samples")),
        ("ranks", status.get("world_size")),
        ("actors", status.get("num_actors")),
        ("actor restarts", status.get("actor_restarts")),
        ("starts of the run", status.get("num_starts")),
    ]
    texts = [(name, f"{value:,}") for name, value in rows if value is not None]
    if counters.get("minutes") is not None:
        texts.append(("trained for", duration_text(60 * counters["minutes"])))
    if status.get("seconds_left") is not None and health in ("running", "silent"):
        texts.append(("time left", duration_text(status["seconds_left"])))
    return texts


def _rows(
    scalars: Mapping[str, Any],
    prefixes: str | tuple[str, ...],
    show: Callable[[str, float], tuple[str, str]],
) -> list[tuple[str, str]]:
    """Return (name, text) of the scalars whose tags begin with the prefix, or with one of several."""
    return [
        show(tag.removeprefix(prefixes) if isinstance(prefixes, str) else tag, value)
        for tag, value in scalars.items()
        if tag.startswith(prefixes) and value is not None
    ]


def _per_second(name: str, value: float) -> tuple[str, str]:
    return _words(name.removesuffix("_per_second")), f"{count_text(value)}/s"


def _number(name: str, value: float) -> tuple[str, str]:
    return _words(name), f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"


def _share(name: str, value: float) -> tuple[str, str]:
    return _words(name), f"{100 * value:.1f}%"


def _words(name: str) -> str:
    return name.replace("_", " ").replace("/", " ")


def _checkpoint_table(checkpoints: list[CheckpointLine]) -> RenderableType:
    if not checkpoints:
        return "[dim]no checkpoint yet[/]"
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("checkpoint")
    table.add_column("step", justify="right")
    table.add_column("size", justify="right")
    table.add_column("")
    for line in checkpoints:
        step = "" if line.learner_step is None else f"{line.learner_step:,}"
        note = f"[red]{escape(line.problem)}[/]" if line.problem else ""
        table.add_row(escape(line.model), step, f"{line.size_bytes / 1e6:,.1f} MB", note)
    return table


def _checkpoints(run_dir: Path) -> list[CheckpointLine]:
    """Look at the checkpoints on the disk, newest first, by their manifests and the files' sizes."""
    lines = []
    for path in newest_first(run_dir / CHECKPOINTS_FOLDER):
        try:
            manifest = read_manifest(path)
        except CheckpointError as error:
            lines.append(CheckpointLine(printable(path.name), None, 0, printable(str(error))))
            continue
        problem = ""
        try:
            for name, record in manifest.files.items():
                check_size(path, name, record)
        except CheckpointError as error:
            problem = printable(str(error))
        size_bytes = sum(record.size_bytes for record in manifest.files.values())
        step = manifest.counters["learner_step"]
        lines.append(CheckpointLine(printable(path.name), step, size_bytes, problem))
    return lines


def _is_process(status: Mapping[str, Any]) -> bool:
    """Whether the very process that wrote the status still runs on this host."""
    try:
        process = psutil.Process(status["pid"])
        started = status.get("process_started", process.create_time())
        return (
            abs(process.create_time() - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        )
    except (psutil.Error, ValueError, OverflowError):  # numbers that no process can have, too
        return False


def _as_json(view: RunView) -> dict[str, Any]:
    return {
        "run_dir": str(view.run_dir),
        "health": view.health,
        "sentence": view.sentence,
        "status": view.status,
        "checkpoints": [vars(line) for line in view.checkpoints],
    }
