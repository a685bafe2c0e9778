"""The metrics on the monitor's page: key metrics first, then the others in groups, each with its value and its curve.

monitor_view.py builds the page from these lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from ddpzero.cli.monitor_curves import sparkline
from ddpzero.run.curves import Curves
from ddpzero.run.progress import count_text
from ddpzero.system.metric_info import (
    PER_SECOND,
    SHARE,
    MetricInfo,
    Metrics,
    info_of,
    sorted_tags,
)

# Declarations for runs of earlier versions, which did not save theirs.
UNDECLARED = {
    "losses/total": MetricInfo(is_headline=True),
    "evaluation/wins_against_*": MetricInfo(unit=SHARE, is_headline=True),
    "time/*": MetricInfo(unit=SHARE),
    "time_actors/*": MetricInfo(unit=SHARE),
    "speed/*": MetricInfo(unit=PER_SECOND),
}
_KEY_METRICS = "key metrics"
# Groups of the core; they follow those of the plugin, which are looked at more often.
_LAST_GROUPS = ("speed", "learner", "replay", "collect", "store", "memory", "time", "time_actors")
_MIN_COLUMNS_FOR = {3: 150, 2: 72}
GAP = 2
_VALUE_COLUMNS = 9
_MAX_SPARKLINE = 60
# A cell of at least this width also shows the curve's range.
_WIDE_CELL = 76
_RANGE_COLUMNS = 22


@dataclass(frozen=True)
class Line:
    """One line of the page. num_curves: the number of curves in it."""

    text: Text
    num_curves: int = 0


@dataclass(frozen=True)
class MetricsPanel:
    """Renders metrics. values: the newest value of each tag. has_unicode: whether the terminal can show Unicode."""

    metrics: Metrics
    curves: Curves
    values: Mapping[str, float]
    has_unicode: bool

    def cell(self, tag: str, name: str, name_columns: int, width: int) -> Text:
        """Return a name, the newest value and a sparkline in `width` columns; if wide enough, also the range."""
        unit = info_of(self.metrics, tag).unit
        has_range = width >= _WIDE_CELL
        num_cells = width - name_columns - _VALUE_COLUMNS - 2 * GAP - has_range * _RANGE_COLUMNS
        num_cells = max(1, min(_MAX_SPARKLINE, num_cells))
        text = Text(fitted(name, name_columns, self.has_unicode), no_wrap=True)
        text.append(value_text(self.values[tag], unit).rjust(_VALUE_COLUMNS + GAP), "bold")
        curve = self.curves.of(tag, num_cells)
        drawn = sparkline(curve, self.has_unicode)
        text.append(" " * GAP).append(f"{drawn:<{num_cells}}", "cyan")
        if has_range and (found := self.curves.range_of(tag)) is not None:
            low, high = (value_text(value, unit) for value in found)
            text.append(f"{low} to {high}".rjust(_RANGE_COLUMNS), "dim")
        text.truncate(width)
        text.rstrip()
        return text


def _name_columns(names: Sequence[str], width: int) -> int:
    """Return the columns for names in cells of `width`: those of the longest name, but leave a quarter to the curve."""
    range_columns = _RANGE_COLUMNS if width >= _WIDE_CELL else 0
    rest = width - _VALUE_COLUMNS - 2 * GAP - range_columns
    return max(1, min(max(map(len, names)), rest - max(4, rest // 4)))


def value_text(value: float, unit: str) -> str:
    """Return a value as text for the user, in at most nine characters."""
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


def key_metrics(panel: MetricsPanel, width: int) -> list[Line]:
    """Return the lines of the headline metrics, in the order of their declarations."""
    tags = [
        tag
        for tag in sorted_tags(panel.metrics, list(panel.values))
        if info_of(panel.metrics, tag).is_headline
    ]
    if not tags:
        return []
    names = [_words(tag, tag, panel) for tag in tags]
    columns = _name_columns(names, width)
    cells = [
        Line(panel.cell(tag, name, columns, width), 1)
        for tag, name in zip(tags, names, strict=True)
    ]
    return [_title(_KEY_METRICS, width, panel.has_unicode), *cells, Line(Text())]


def groups(panel: MetricsPanel, width: int) -> list[Line]:
    """Return the lines of all other metrics by group, in as many columns as fit; a group extends the shortest one."""
    grouped = _grouped(panel)
    if not grouped:
        return []
    num_columns = next((n for n, least in _MIN_COLUMNS_FOR.items() if width >= least), 1)
    column_width = (width - GAP * (num_columns - 1)) // num_columns
    names = {
        tag: _words(tag.removeprefix(f"{group}/"), tag, panel)
        for group, tags in grouped.items()
        for tag in tags
    }
    name_columns = _name_columns(list(names.values()), column_width)
    columns: list[list[Line]] = [[] for _ in range(num_columns)]
    for group, tags in grouped.items():
        column = min(columns, key=len)
        column.append(_title(group.replace("_", " "), column_width, panel.has_unicode))
        column += [Line(panel.cell(tag, names[tag], name_columns, column_width), 1) for tag in tags]
    return [
        _side_by_side(
            [column[row] if row < len(column) else None for column in columns], column_width
        )
        for row in range(max(map(len, columns)))
    ]


def _grouped(panel: MetricsPanel) -> dict[str, list[str]]:
    """Return group -> its tags without the key metrics; groups of the core come last."""
    groups: dict[str, list[str]] = {}
    for tag in sorted_tags(panel.metrics, list(panel.values)):
        if not info_of(panel.metrics, tag).is_headline:
            groups.setdefault(tag.partition("/")[0], []).append(tag)
    last = [name for name in _LAST_GROUPS if name in groups]
    return {name: groups[name] for name in [*(n for n in groups if n not in last), *last]}


def _side_by_side(cells: Sequence[Line | None], column_width: int) -> Line:
    text = Text(no_wrap=True)
    for cell in cells:
        piece = cell.text.copy() if cell is not None else Text()
        piece.pad_right(column_width - piece.cell_len + GAP)
        text.append_text(piece)
    text.rstrip()
    return Line(text, sum(cell.num_curves for cell in cells if cell is not None))


def _title(name: str, width: int, has_unicode: bool) -> Line:
    rule = ("─" if has_unicode else "-") * max(0, width - len(name) - 1)
    return Line(Text.assemble((f"{name} ", "bold"), (rule, "dim"), no_wrap=True, overflow="crop"))


def _words(name: str, tag: str, panel: MetricsPanel) -> str:
    if info_of(panel.metrics, tag).unit == PER_SECOND:
        # The value shows the unit.
        name = name.removesuffix("_per_second")
    return name.replace("_", " ").replace("/", " ")


def fitted(name: str, width: int, has_unicode: bool) -> str:
    """Return the name in `width` columns, shortened after a third: names of one kind differ at their ends."""
    if len(name) <= width:
        return name.ljust(width)
    num_first = (width - 1) // 3
    num_last = width - 1 - num_first
    return name[:num_first] + ("…" if has_unicode else ".") + name[len(name) - num_last :]
