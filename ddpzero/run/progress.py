"""The console of a run: one live line on a terminal, a plain line per logging interval elsewhere.

The learner calls `show` as often as it likes; messages go through `message`, so that they do not tear the line. All of
it goes to stderr, and every write begins by clearing the line: ranks that share a terminal may do so side by side.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TextIO

_REFRESH_SECONDS = 0.2
_CLEAR_LINE = "\r\x1b[K"
_SMOOTHED_REPORTS = 6  # actors and learner take turns: the rates of one interval swing
_BAR_CELLS = 10
_GAP = "  "


@dataclass(frozen=True)
class ProgressMetrics:
    """What the line shows. Counts are over all ranks; None or 0 rates: not known yet.

    fraction: share of the run that is done, None without a limit. note: what the learner waits for, if it does.
    """

    run_name: str
    epoch: int
    learner_step: int
    episodes: int
    samples: int
    samples_per_second: float = 0.0
    updates_per_second: float = 0.0
    simulations_per_second: float = 0.0  # of algorithms with a tree search
    environment_steps_per_second: float = 0.0  # of those without
    loss: float | None = None
    fraction: float | None = None
    seconds_left: float | None = None
    note: str = ""


class Progress:
    """The progress line of this process. Not enabled (ranks other than 0): shows no line, only messages."""

    def __init__(self, enabled: bool, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._enabled = enabled
        self._line = ""
        self._rates: deque[tuple[float, ...]] = deque(maxlen=_SMOOTHED_REPORTS)
        self._started = time.monotonic()
        self._shown_at = 0.0
        self._lock = threading.RLock()  # a signal handler or another thread may log while we write

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last line standing."""
        with self._lock:
            if self._line:
                self._write("\n")
            self._line = ""

    def show(self, metrics: ProgressMetrics) -> None:
        """Refresh the live line, unless it is too soon or there is no terminal."""
        now = time.monotonic()
        if not (self._enabled and self._is_terminal) or now - self._shown_at < _REFRESH_SECONDS:
            return
        self._shown_at = now
        with self._lock:
            # One column less than the terminal has: a full line would wrap in some of them.
            columns = shutil.get_terminal_size().columns - 1
            self._line = format_line(
                self._smoothed(metrics), columns, now - self._started, self._can_draw()
            )
            self._write(_CLEAR_LINE + self._line)

    def report(self, metrics: ProgressMetrics) -> None:
        """Show the metrics of a logging interval that has ended: a line of its own where there is no terminal.

        Rates are shown as a mean over the last few intervals.
        """
        rates = (
            metrics.samples_per_second,
            metrics.updates_per_second,
            metrics.simulations_per_second,
            metrics.environment_steps_per_second,
        )
        if any(rates) or self._rates:  # not the zeros before the first game
            self._rates.append(rates)
        if self._enabled and not self._is_terminal:
            seconds = time.monotonic() - self._started
            self._write(
                f"{time.strftime('%H:%M:%S')} {format_line(self._smoothed(metrics), None, seconds)}\n"
            )
        self.show(metrics)

    def report_last(self, metrics: ProgressMetrics) -> None:
        """The same for the end of a run: the line that stays."""
        self._shown_at = 0.0
        self.report(metrics)

    def message(self, text: str) -> None:
        """Print a message above the line."""
        with self._lock:
            clear = _CLEAR_LINE if self._is_terminal else ""
            self._write(f"{clear}{text}\n{self._line}")

    def _smoothed(self, metrics: ProgressMetrics) -> ProgressMetrics:
        """Return the metrics with rates as means over the last reports."""
        if not self._rates:
            return metrics
        samples, updates, simulations, environment_steps = (
            sum(column) / len(self._rates) for column in zip(*self._rates, strict=True)
        )
        return replace(
            metrics,
            samples_per_second=samples,
            updates_per_second=updates,
            simulations_per_second=simulations,
            environment_steps_per_second=environment_steps,
        )

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal is gone (ssh, nohup): the run goes on
            self._enabled = False

    def _can_draw(self) -> bool:
        return "utf" in (getattr(self._stream, "encoding", "") or "").lower()


def format_line(
    metrics: ProgressMetrics, columns: int | None, seconds_elapsed: float, can_draw: bool = True
) -> str:
    """Return the line, cut to `columns` by leaving out what matters least; None: everything but the bar.

    can_draw: the terminal shows Unicode.
    """
    done = metrics.fraction
    bar = "" if done is None or columns is None else _bar(done, can_draw)
    parts = [  # in the order of the line; the number: what to leave out last has the lowest
        (0, metrics.run_name),
        (6, bar),
        (1, "" if done is None else f"{100 * done:.0f}%"),
        (1, _time_text(metrics.seconds_left, seconds_elapsed)),
        (3, metrics.note),
        (9, f"epoch {metrics.epoch:,}"),
        (4, f"step {metrics.learner_step:,}"),
        (11, f"{count_text(metrics.episodes)} episodes"),
        (10, f"{count_text(metrics.samples)} samples"),
        (8, _rate(metrics.samples_per_second, "samples/s")),
        (12, _rate(metrics.updates_per_second, "updates/s")),
        (7, _rate(metrics.simulations_per_second, "simulations/s")),
        (7, _rate(metrics.environment_steps_per_second, "steps/s")),
        (5, "" if metrics.loss is None else f"loss {metrics.loss:.3f}"),
    ]
    kept: set[int] = set()
    length = 0
    for index in sorted(range(len(parts)), key=lambda index: parts[index][0]):
        text = parts[index][1]
        needed = len(text) + (len(_GAP) if kept else 0)
        if text and (columns is None or length + needed <= columns):
            kept.add(index)
            length += needed
    return _GAP.join(text for index, (_, text) in enumerate(parts) if index in kept)


def duration_text(seconds: float) -> str:
    """Return "4:12", "1:02:03" or "3 d 04:05"."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour:02}:{minute:02}"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def count_text(count: float) -> str:
    """Return "950", "81.2k" or "3.40M"."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= 0.9995 * size:
            digits = 0 if count >= 99.95 * size else 1 if count >= 9.995 * size else 2
            return f"{count / size:.{digits}f}{unit}"
    return f"{count:.0f}" if count >= 10 or count == round(count) else f"{count:.1f}"


def size_text(size_bytes: float) -> str:
    """Return "512 B", "1.4 MiB" or "12 GiB"."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes >= 0.995 * size:
            return f"{size_bytes / size:.{1 if size_bytes < 9.95 * size else 0}f} {unit}"
    return f"{size_bytes:.0f} B"


def _time_text(seconds_left: float | None, seconds_elapsed: float) -> str:
    if seconds_left is None:
        return duration_text(seconds_elapsed)
    return f"{duration_text(seconds_left)} left"


def _rate(per_second: float, unit: str) -> str:
    return f"{count_text(per_second)} {unit}" if per_second > 0 else ""


def _bar(fraction: float, can_draw: bool) -> str:
    """Return a bar of _BAR_CELLS characters; drawn ones resolve half a cell."""
    num_halves = round(fraction * 2 * _BAR_CELLS)
    if not can_draw:
        return "#" * (num_halves // 2) + "." * (_BAR_CELLS - num_halves // 2)
    drawn = "━" * (num_halves // 2) + "╸" * (num_halves % 2)
    return drawn + "─" * (_BAR_CELLS - len(drawn))
