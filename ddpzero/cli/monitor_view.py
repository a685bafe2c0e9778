"""What `ddpzero monitor` draws: the head of the page, the curves in groups, the checkpoints, cut to the terminal.

Turns a RunView into lines of text of at most the terminal's width; reads nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console, Group, RenderableType
from rich.text import Text

from ddpzero.cli.monitor_curves import Curves, sparkline
from ddpzero.run.progress import count_text, duration_text
from ddpzero.system.metric_info import (
    PER_SECOND,
    SHARE,
    MetricInfo,
    Metrics,
    info_of,
    sorted_tags,
)

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
# Of runs of versions that kept no declarations.
_UNDECLARED = {
    "losses/total": MetricInfo(is_headline=True),
    "evaluation/wins_against_*": MetricInfo(unit=SHARE, is_headline=True),
    "time/*": MetricInfo(unit=SHARE),
    "time_actors/*": MetricInfo(unit=SHARE),
    "speed/*": MetricInfo(unit=PER_SECOND),
}
_KEY_METRICS = "key metrics"
# Groups of the core, behind those of the plugin: what costs time and memory matters later.
_LAST_GROUPS = ("speed", "learner", "replay", "memory", "time", "time_actors")
_MIN_COLUMNS_FOR = {3: 150, 2: 72}
_GAP = 2
_VALUE_COLUMNS = 9
_MAX_SPARKLINE = 60
_MAX_SENTENCE_LINES = 4
# With so many columns a curve has room for its range.
_WIDE_CELL = 76
_RANGE_COLUMNS = 22


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
    metrics: Metrics = field(default_factory=dict)
    curves: Curves = field(default_factory=Curves)


@dataclass(frozen=True)
class Line:
    """One line of the page. num_curves: how many curves it shows."""

    text: Text
    num_curves: int = 0


@dataclass(frozen=True)
class Page:
    """Lines that are always shown, and lines that are scrolled."""

    head: list[Line]
    body: list[Line]


def make_page(view: RunView, width: int, can_draw: bool = True) -> Page:
    """Return the page for a terminal of `width` columns. can_draw: it shows Unicode."""
    metrics = view.metrics or _UNDECLARED
    values = {**view.curves.newest, **_scalars(view.status)}
    draw = _Drawing(metrics, view.curves, values, can_draw)
    body = [*_key_metrics(draw, width), *_groups(draw, width)]
    if not body:
        body = [Line(Text()), Line(Text("no metrics yet", "dim"))]
    return Page(_head(view, width), [*body, *_checkpoint_table(view.checkpoints, width)])


def whole(page: Page) -> RenderableType:
    """Return all of a page."""
    return _group([*page.head, *page.body])


def cut(
    page: Page, height: int, first: int, leave: str, scroll: str = ""
) -> tuple[RenderableType, int]:
    """Return a page cut to `height` lines, and `first` as far as there is something to scroll.

    first: the line of the body to begin with. leave, scroll: which keys do so, for the last line.
    """
    # A very low terminal shows less of the head.
    head = page.head[: max(1, height - 3)]
    room = max(1, height - len(head) - 1)
    first = max(0, min(first, len(page.body) - room))
    above, shown, below = (
        page.body[:first],
        page.body[first : first + room],
        page.body[first + room :],
    )
    hidden = [
        f"{sum(line.num_curves for line in lines)} more curves {where}"
        for lines, where in ((above, "above"), (below, "below"))
        if any(line.num_curves for line in lines)
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


def _head(view: RunView, width: int) -> list[Line]:
    console = Console(width=width)
    sentence = Text(view.sentence, _STYLES[view.health]).wrap(console, width)
    lines = [
        Text(str(view.run_dir), "bold"),
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
    """Put facts, (name, text), side by side on lines of `width`; a fact is never broken."""
    lines: list[Text] = []
    for name, text in facts:
        fact = Text.assemble((name, "dim"), f" {text}  ")
        if not lines or lines[-1].cell_len + fact.cell_len - _GAP > width:
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


# ---------------------------------------------------------------------------- the curves


@dataclass(frozen=True)
class _Drawing:
    """What a curve's cell is drawn from. values: the newest value of each tag."""

    metrics: Metrics
    curves: Curves
    values: Mapping[str, float]
    can_draw: bool

    def cell(self, tag: str, name: str, name_columns: int, width: int) -> Text:
        """A name, the newest value and a sparkline in `width` columns; with enough room also the curve's range."""
        unit = info_of(self.metrics, tag).unit
        has_range = width >= _WIDE_CELL
        num_cells = width - name_columns - _VALUE_COLUMNS - 2 * _GAP - has_range * _RANGE_COLUMNS
        num_cells = max(1, min(_MAX_SPARKLINE, num_cells))
        text = Text(_fitted(name, name_columns, self.can_draw), no_wrap=True)
        text.append(value_text(self.values[tag], unit).rjust(_VALUE_COLUMNS + _GAP), "bold")
        curve = self.curves.of(tag, num_cells)
        drawn = sparkline(curve, self.can_draw)
        text.append(" " * _GAP).append(f"{drawn:<{num_cells}}", "cyan")
        known = [value for value in curve if value is not None]
        if has_range and known and min(known) < max(known):
            low, high = value_text(min(known), unit), value_text(max(known), unit)
            text.append(f"{low} to {high}".rjust(_RANGE_COLUMNS), "dim")
        text.truncate(width)
        return text


def _name_columns(names: Sequence[str], width: int) -> int:
    """Columns for the names of cells of `width`: those of the longest, but a quarter is left to the curve."""
    range_columns = _RANGE_COLUMNS if width >= _WIDE_CELL else 0
    rest = width - _VALUE_COLUMNS - 2 * _GAP - range_columns
    return max(1, min(max(map(len, names)), rest - max(4, rest // 4)))


def value_text(value: float, unit: str) -> str:
    """Return a value as a person reads it, in at most nine characters."""
    if unit == SHARE:
        return f"{100 * value:.1f}%"
    if unit == PER_SECOND:
        return f"{count_text(value)}/s"
    size = abs(value)
    if value == int(value) and size < 1e7:
        return f"{value:,.0f}"
    if size < 0.01 or size >= 1e7:
        return f"{value:.2e}"
    return f"{value:.3f}" if size < 100 else f"{value:,.0f}"


def _key_metrics(draw: _Drawing, width: int) -> list[Line]:
    tags = [
        tag
        for tag in sorted_tags(draw.metrics, list(draw.values))
        if info_of(draw.metrics, tag).is_headline
    ]
    if not tags:
        return []
    names = [_words(tag, tag, draw) for tag in tags]
    columns = _name_columns(names, width)
    cells = [
        Line(draw.cell(tag, name, columns, width), 1) for tag, name in zip(tags, names, strict=True)
    ]
    return [_title(_KEY_METRICS, width, draw.can_draw), *cells, Line(Text())]


def _groups(draw: _Drawing, width: int) -> list[Line]:
    """Stack the groups in as many columns as fit, each below the column that is shortest so far."""
    groups = _grouped(draw)
    if not groups:
        return []
    num_columns = next((n for n, least in _MIN_COLUMNS_FOR.items() if width >= least), 1)
    column_width = (width - _GAP * (num_columns - 1)) // num_columns
    names = {
        tag: _words(tag.removeprefix(f"{group}/"), tag, draw)
        for group, tags in groups.items()
        for tag in tags
    }
    name_columns = _name_columns(list(names.values()), column_width)
    columns: list[list[Line]] = [[] for _ in range(num_columns)]
    for group, tags in groups.items():
        column = min(columns, key=len)
        column.append(_title(group.replace("_", " "), column_width, draw.can_draw))
        column += [Line(draw.cell(tag, names[tag], name_columns, column_width), 1) for tag in tags]
    return [
        _side_by_side(
            [column[row] if row < len(column) else None for column in columns], column_width
        )
        for row in range(max(map(len, columns)))
    ]


def _grouped(draw: _Drawing) -> dict[str, list[str]]:
    """Return group -> its tags without the key metrics, the groups in the order in which they matter."""
    groups: dict[str, list[str]] = {}
    for tag in sorted_tags(draw.metrics, list(draw.values)):
        if not info_of(draw.metrics, tag).is_headline:
            groups.setdefault(tag.partition("/")[0], []).append(tag)
    last = [name for name in _LAST_GROUPS if name in groups]
    return {name: groups[name] for name in [*(n for n in groups if n not in last), *last]}


def _side_by_side(cells: Sequence[Line | None], column_width: int) -> Line:
    text = Text(no_wrap=True)
    for cell in cells:
        piece = cell.text.copy() if cell is not None else Text()
        piece.pad_right(column_width - piece.cell_len + _GAP)
        text.append_text(piece)
    text.rstrip()
    return Line(text, sum(cell.num_curves for cell in cells if cell is not None))


def _title(name: str, width: int, can_draw: bool) -> Line:
    rule = ("─" if can_draw else "-") * max(0, width - len(name) - 1)
    return Line(Text.assemble((f"{name} ", "bold"), (rule, "dim"), no_wrap=True, overflow="crop"))


def _words(name: str, tag: str, draw: _Drawing) -> str:
    if info_of(draw.metrics, tag).unit == PER_SECOND:
        name = name.removesuffix("_per_second")  # the value says so
    return name.replace("_", " ").replace("/", " ")


def _fitted(name: str, width: int, can_draw: bool) -> str:
    if len(name) <= width:
        return name.ljust(width)
    return name[: width - 1] + ("…" if can_draw else ".")


def _scalars(status: Mapping[str, Any]) -> dict[str, float]:
    return {tag: value for tag, value in status.get("scalars", {}).items() if value is not None}


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
