"""The page of `ddpzero monitor`: head, metrics (monitor_metrics.py) and checkpoints, cut to the size of the terminal.

Converts a RunView to lines of text of at most the terminal's width. Reads and writes no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console, Group, RenderableType
from rich.text import Text

from ddpzero.cli.monitor_metrics import (
    GAP,
    UNDECLARED,
    Line,
    MetricsPanel,
    fitted,
    groups,
    key_metrics,
)
from ddpzero.run.curves import Curves
from ddpzero.run.progress import duration_text
from ddpzero.system.metric_info import Metrics

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
_MAX_SENTENCE_LINES = 4


@dataclass(frozen=True)
class CheckpointLine:
    """One checkpoint on disk. problem: why it is incomplete, or "". learner_step: None if unknown."""

    model: str
    learner_step: int | None
    size_bytes: int
    problem: str


@dataclass(frozen=True)
class RunView:
    """The data of the page. status: as RunRecord.status wrote it. sentence: describes the health."""

    run_dir: Path
    health: Health
    sentence: str
    status: Mapping[str, Any]
    checkpoints: list[CheckpointLine]
    metrics: Metrics = field(default_factory=dict)
    curves: Curves = field(default_factory=Curves)


@dataclass(frozen=True)
class Page:
    """The lines that are always shown (head), and those that scroll (body)."""

    head: list[Line]
    body: list[Line]


def make_page(view: RunView, width: int, has_unicode: bool = True) -> Page:
    """Return the page for a terminal of `width` columns. has_unicode: whether the terminal can show Unicode."""
    newest = {**view.curves.newest, **view.status.get("metrics", {})}
    panel = MetricsPanel(view.metrics or UNDECLARED, view.curves, newest, has_unicode)
    body = [*key_metrics(panel, width), *groups(panel, width)]
    if not body:
        body = [Line(Text()), Line(Text("no metrics yet", "dim"))]
    return Page(
        _head(view, width, has_unicode), [*body, *_checkpoint_table(view.checkpoints, width)]
    )


def whole(page: Page) -> RenderableType:
    """Return the whole page."""
    return _group([*page.head, *page.body])


def cut(
    page: Page, height: int, first: int, leave: str, scroll: str = ""
) -> tuple[RenderableType, int]:
    """Return a page cut to `height` lines, and `first` limited to the lines that there are.

    first: index of the first visible line of the body. leave, scroll: texts about these keys, for the last line.
    """
    # A terminal with few lines shows a part of the head.
    head = page.head[: max(1, height - 3)]
    room = max(1, height - len(head) - 1)
    first = max(0, min(first, len(page.body) - room))
    above, shown, below = (
        page.body[:first],
        page.body[first : first + room],
        page.body[first + room :],
    )
    counts = {
        where: sum(line.num_curves for line in lines)
        for where, lines in (("above", above), ("below", below))
    }
    hidden = [
        f"{count} more {'curve' if count == 1 else 'curves'} {where}"
        for where, count in counts.items()
        if count
    ]
    if not hidden and (above or below):
        hidden = ["more lines below" if below else "more lines above"]
    keys = [scroll, leave] if scroll and (above or below) else [leave]
    blank = [Line(Text())] * (room - len(shown))
    foot = Line(Text("  ".join([*hidden, *keys]), "dim", no_wrap=True, overflow="ellipsis"))
    return _group([*head, *shown, *blank, foot]), first


def _group(lines: Sequence[Line]) -> RenderableType:
    return Group(*(line.text for line in lines))


# ------------------------------------------------------------------------------ the head


def _head(view: RunView, width: int, has_unicode: bool) -> list[Line]:
    console = Console(width=width)
    sentence = Text(view.sentence, _STYLES[view.health]).wrap(console, width)
    lines = [
        Text(fitted(str(view.run_dir), width, has_unicode), "bold"),
        *sentence[:_MAX_SENTENCE_LINES],
        *_wrapped(_facts(view), width),
    ]
    damaged = sum(bool(line.problem) for line in view.checkpoints)
    if damaged:
        problem = f"{damaged} of {len(view.checkpoints)} checkpoints cannot be used: see below"
        lines.append(Text(problem, "red"))
    for line in lines:
        line.rstrip()
        line.truncate(width, overflow="ellipsis")
    return [Line(line) for line in lines]


def _wrapped(facts: Sequence[tuple[str, str]], width: int) -> list[Text]:
    """Return lines of at most `width` columns with facts, (name, text), side by side; never breaks a fact."""
    lines: list[Text] = []
    for name, text in facts:
        fact = Text.assemble((name, "dim"), f" {text}  ")
        if not lines or lines[-1].cell_len + fact.cell_len - GAP > width:
            lines.append(Text())
        lines[-1].append_text(fact)
    return lines


def _facts(view: RunView) -> list[tuple[str, str]]:
    status, counters = view.status, view.status.get("counters", {})
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
    if status.get("seconds_left") is not None and view.health in ("running", "silent"):
        texts.append(("time left", duration_text(status["seconds_left"])))
    return texts


# ----------------------------------------------------------------------- the checkpoints


def _checkpoint_table(checkpoints: Sequence[CheckpointLine], width: int) -> list[Line]:
    if not checkpoints:
        return [Line(Text("no checkpoint yet", "dim"))]
    name_width = max(len("checkpoint"), *(len(line.model) for line in checkpoints))
    name_width = min(name_width, max(10, width - 27))
    lines = [Line(Text(f"{'checkpoint':<{name_width}}  {'step':>11}  {'size':>10}", "bold"))]
    for line in checkpoints:
        step = "" if line.learner_step is None else f"{line.learner_step:,}"
        text = Text(f"{line.model[-name_width:]:<{name_width}}  {step:>11}  ")
        text.append(f"{line.size_bytes / 1e6:,.1f} MB".rjust(10))
        lines.append(Line(text))
        if line.problem:
            console = Console(width=width)
            lines += [Line(part) for part in Text(f"  {line.problem}", "red").wrap(console, width)]
    for entry in lines:
        entry.text.truncate(width)
    return [Line(Text()), *lines]
