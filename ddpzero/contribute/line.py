"""The live line of a contributor: what it plays, how fast, and what the server has accepted."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ddpzero.system.terminal import CLEAR_LINE, can_redraw_line

_REFRESH_SECONDS = 0.5
_SEPARATOR = "  "
# Characters.
_LEAST_OF_MODEL, _LEAST_OF_NOTE, _LEAST_OF_PROBLEM = 12, 25, 20


@dataclass
class _Part:
    """A part of the line. importance: of what does not fit, the part with the lowest one goes first.

    least: the characters that it keeps if it is shortened; None: it is never shortened.
    """

    text: str
    importance: int
    least: int | None = None

    @property
    def least_length(self) -> int:
        return len(self.text) if self.least is None else min(self.least, len(self.text))


class StatusLine:
    """As a context manager, it leaves nothing on the terminal but the messages above it.

    games: finished by this process. accepted, repeated, rejected: as the server said; repeated ones it had already.
    waiting: games that are not sent yet. note: what it does besides playing, or why it pauses; "" for nothing.
    waits_for: a problem with the server; "" for none. server: its address, which the line leaves out of problems.
    interval_seconds: between two lines without a terminal.
    """

    def __init__(self) -> None:
        self.model = ""
        self.note = ""
        self.waits_for = ""
        self.server = ""
        self.games = self.accepted = self.repeated = self.rejected = 0
        self.waiting = self.match_games = 0
        self.interval_seconds = _REFRESH_SECONDS
        self._is_terminal = can_redraw_line(sys.stderr)
        self._started_at = time.monotonic()
        self._shown_at = 0.0
        # On a terminal.
        self._is_shown = False

    def __enter__(self) -> StatusLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            self._is_shown = False
            sys.stderr.write(CLEAR_LINE)
            sys.stderr.flush()

    def show(self) -> None:
        """Show the line again, if it is time for it."""
        now = time.monotonic()
        interval = _REFRESH_SECONDS if self._is_terminal else self.interval_seconds
        if now - self._shown_at < interval:
            return
        self._shown_at = now
        if not self._is_terminal:
            print(self.text(), file=sys.stderr, flush=True)
            return
        self._is_shown = True
        sys.stderr.write(CLEAR_LINE + self._text_that_fits())
        sys.stderr.flush()

    def text(self, columns: int | None = None) -> str:
        """Return the line. columns: that it may have, at least 39: names and sentences are shortened, and the least
        important parts left out; None: any number.
        """
        parts = self._parts()
        if columns is not None:
            parts = _shortened(parts, columns)
        return _SEPARATOR.join(part.text for part in parts)

    def _text_that_fits(self) -> str:
        # A terminal that is full to its last column begins another line.
        return self.text(shutil.get_terminal_size().columns - 1)

    def _parts(self) -> list[_Part]:
        minutes = (time.monotonic() - self._started_at) / 60
        parts = [
            _Part(time.strftime("%H:%M:%S"), 3),
            _Part(self.model or "no model yet", 5, _LEAST_OF_MODEL),
            _Part(f"{self.games:,} games", 10),
            _Part(f"{_short_number(self.games / max(minutes, 1 / 60))} a minute", 4),
            _Part(f"{self.accepted:,} accepted", 8),
        ]
        if self.waiting:
            parts.append(_Part(f"{self.waiting:,} to send", 9))
        if self.repeated:
            parts.append(_Part(f"{self.repeated:,} repeated", 2))
        if self.rejected:
            parts.append(_Part(f"{self.rejected:,} rejected", 6))
        if self.match_games:
            parts.append(_Part(f"{self.match_games:,} rating games", 1))
        if self.note:
            parts.append(_Part(self.note, 7, _LEAST_OF_NOTE))
        if self.waits_for:
            parts.append(_Part(self._problem(), 10, _LEAST_OF_PROBLEM))
        return parts

    def _problem(self) -> str:
        if not self.server:
            return self.waits_for
        shorter = self.waits_for.replace(f" ({self.server})", "")
        return shorter.replace(self.server, "the server", 1)

    def handler(self) -> logging.Handler:
        """Return a handler of the logging module that prints messages above the line."""
        return _Handler(self)

    def message(self, text: str) -> None:
        """Print a message above the line."""
        if not self._is_terminal:
            print(text, file=sys.stderr, flush=True)
            return
        line = self._text_that_fits() if self._is_shown else ""
        sys.stderr.write(f"{CLEAR_LINE}{text}\n{line}")
        sys.stderr.flush()


class _Handler(logging.Handler):
    def __init__(self, line: StatusLine) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        self._to = line

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._to.message(self.format(record))
        except Exception:
            self.handleError(record)


def _shortened(parts: Sequence[_Part], columns: int) -> list[_Part]:
    """Return the parts that fit, in their order; they share what is left, the most important one first."""
    kept = list(parts)

    def num_free() -> int:
        lengths = sum(part.least_length for part in kept)
        return columns - lengths - len(_SEPARATOR) * (len(kept) - 1)

    while num_free() < 0 and len(kept) > 1:
        kept.remove(min(kept, key=lambda part: part.importance))
    free = max(num_free(), 0)
    lengths = [part.least_length for part in kept]
    for index in sorted(range(len(kept)), key=lambda index: -kept[index].importance):
        more = min(free, len(kept[index].text) - lengths[index])
        lengths[index], free = lengths[index] + more, free - more
    return [
        replace(part, text=_cut(part.text, length, in_the_middle=" " not in part.text))
        for part, length in zip(kept, lengths, strict=True)
    ]


def _cut(text: str, length: int, in_the_middle: bool) -> str:
    """Return text of at most `length` characters. in_the_middle: the ends of names tell them apart."""
    if len(text) <= length:
        return text
    num_last = (length - 1) // 2 if in_the_middle else 0
    return f"{text[: length - 1 - num_last]}…{text[len(text) - num_last :]}"


def _short_number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
