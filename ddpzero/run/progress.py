"""The console of a run: one live line on a terminal, a plain line per logging interval elsewhere.

The learner may call `show` at any rate; messages go through `message`, so that they do not tear the line. All output
goes to stderr, and every write first clears the line, so that several ranks can share a terminal.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TextIO

from ddpzero.system.terminal import CLEAR_LINE, can_redraw_line

_REFRESH_SECONDS = 0.2
# Actors and learner take turns, so the rates of a single interval fluctuate.
_SMOOTHED_REPORTS = 6
_BAR_CELLS = 10
_GAP = "  "


@dataclass(frozen=True)
class ProgressMetrics:
    """The values that the line shows. Counts are over all ranks; a rate of 0 or a value of None is not known yet.

    seconds: of training, over all resumes; 0 before the first episode.
    fraction: completed share of the run, None without a limit. note: what the learner waits for, "" if it does not.
    simulations_per_second: of algorithms with a tree search; environment_steps_per_second: of the others.
    """

    run_name: str
    epoch: int
    learner_step: int
    episodes: int
    samples: int
    samples_per_second: float = 0.0
    updates_per_second: float = 0.0
    simulations_per_second: float = 0.0
    environment_steps_per_second: float = 0.0
    loss: float | None = None
    seconds: float = 0.0
    fraction: float | None = None
    seconds_left: float | None = None
    note: str = ""


class Progress:
    """The progress line of this process. If not enabled (ranks other than 0), it prints only messages.

    max_silence_seconds: without a terminal, a line is printed at least this often.
    """

    def __init__(
        self, enabled: bool, stream: TextIO | None = None, max_silence_seconds: float = 20.0
    ) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = can_redraw_line(self._stream)
        self._enabled = enabled
        self._line = ""
        self._rates: deque[tuple[float, ...]] = deque(maxlen=_SMOOTHED_REPORTS)
        self._started = time.monotonic()
        self._max_silence_seconds = max_silence_seconds
        self._shown_at = 0.0
        self._printed_at = time.monotonic()
        # A signal handler or another thread may log during a write.
        self._lock = threading.RLock()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last line on the terminal."""
        with self._lock:
            if self._line:
                self._write("\n")
            self._line = ""

    def show(self, metrics: ProgressMetrics) -> None:
        """Refresh the live line, at most every _REFRESH_SECONDS.

        Without a terminal, print a line after max_silence_seconds without one.
        """
        now = time.monotonic()
        if not self._enabled or now - self._shown_at < _REFRESH_SECONDS:
            return
        if not self._is_terminal:
            if now - self._printed_at >= self._max_silence_seconds:
                self._print(metrics)
            return
        self._shown_at = now
        with self._lock:
            # Leave the last column free: some terminals wrap a full line.
            columns = shutil.get_terminal_size().columns - 1
            line = self._smoothed(metrics)
            self._line = format_line(line, columns, self._elapsed(metrics), self._has_unicode())
            self._write(CLEAR_LINE + self._line)

    def report(self, metrics: ProgressMetrics) -> None:
        """Show the metrics of a completed logging interval; without a terminal, print them as a new line.

        Rates are shown as a mean over the last few intervals.
        """
        rates = (
            metrics.samples_per_second,
            metrics.updates_per_second,
            metrics.simulations_per_second,
            metrics.environment_steps_per_second,
        )
        # Skip the zeros before the first episode.
        if any(rates) or self._rates:
            self._rates.append(rates)
        if self._enabled and not self._is_terminal:
            self._print(metrics)
        self.show(metrics)

    def report_last(self, metrics: ProgressMetrics) -> None:
        """Show the metrics at the end of a run, regardless of the time since the last refresh."""
        self._shown_at = 0.0
        self.report(metrics)

    def message(self, text: str) -> None:
        """Print a message above the line."""
        with self._lock:
            clear = CLEAR_LINE if self._is_terminal else ""
            self._write(f"{clear}{text}\n{self._line}")

    def _print(self, metrics: ProgressMetrics) -> None:
        self._printed_at = time.monotonic()
        line = format_line(self._smoothed(metrics), None, self._elapsed(metrics))
        self._write(f"{time.strftime('%H:%M:%S')} {line}\n")

    def _elapsed(self, metrics: ProgressMetrics) -> float:
        """Return the seconds of training, or since the start of this process before training has begun."""
        return metrics.seconds or time.monotonic() - self._started

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
        # The terminal is gone (ssh, nohup); the run continues.
        except (OSError, ValueError):
            self._enabled = False

    def _has_unicode(self) -> bool:
        return "utf" in (getattr(self._stream, "encoding", "") or "").lower()


def format_line(
    metrics: ProgressMetrics,
    columns: int | None,
    seconds_elapsed: float,
    has_unicode: bool = True,
) -> str:
    """Return the line, with the least important parts omitted to fit into `columns`; None: all parts but the bar.

    A note that does not fit as a whole is cut. has_unicode: whether the terminal shows Unicode.
    """
    done = metrics.fraction
    bar = "" if done is None or columns is None else _bar(done, has_unicode)
    # In the order of the line. The number is a priority: parts with low numbers are kept first.
    parts = [
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
        gap = len(_GAP) if kept else 0
        if columns is not None and text and text == metrics.note:
            text = _cut(text, columns - length - gap)
            parts[index] = (parts[index][0], text)
        if text and (columns is None or length + gap + len(text) <= columns):
            kept.add(index)
            length += gap + len(text)
    return _GAP.join(text for index, (_, text) in enumerate(parts) if index in kept)


def _cut(note: str, columns: int) -> str:
    """Return a note, or its beginning if it is too long, in whole words; "" if not even the first one fits."""
    if len(note) <= columns:
        return note
    beginning = note[: max(0, columns) + 1].rpartition(" ")[0]
    return beginning.rstrip(" (,")


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


def _bar(fraction: float, has_unicode: bool) -> str:
    """Return a bar of _BAR_CELLS characters; in Unicode it resolves half a cell."""
    num_halves = round(fraction * 2 * _BAR_CELLS)
    if not has_unicode:
        return "#" * (num_halves // 2) + "." * (_BAR_CELLS - num_halves // 2)
    filled = "━" * (num_halves // 2) + "╸" * (num_halves % 2)
    return filled + "─" * (_BAR_CELLS - len(filled))
