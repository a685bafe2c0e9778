"""The live line of a contributor: what it plays, how fast, and what the server has accepted."""

from __future__ import annotations

import logging
import shutil
import sys
import time

from ddpzero.system.terminal import CLEAR_LINE, can_redraw_line

_REFRESH_SECONDS = 0.5


class StatusLine:
    """As a context manager, it leaves the last line on the terminal.

    games: finished by this process. accepted, repeated, rejected: as the server said; repeated ones it had already.
    waiting: games that are not sent yet.
    waits_for: a problem with the server; "" for none. interval_seconds: between two lines without a terminal.
    """

    def __init__(self) -> None:
        self.model = ""
        self.note = ""
        self.waits_for = ""
        self.games = self.accepted = self.repeated = self.rejected = 0
        self.waiting = self.match_games = 0
        self.interval_seconds = _REFRESH_SECONDS
        self._is_terminal = can_redraw_line(sys.stderr)
        self._started_at = time.monotonic()
        self._shown_at = 0.0
        self._line = ""

    def __enter__(self) -> StatusLine:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown_at = 0.0
        self.show()
        if self._is_terminal and self._line:
            sys.stderr.write("\n")

    def show(self) -> None:
        """Show the line again, if it is time for it."""
        now = time.monotonic()
        interval = _REFRESH_SECONDS if self._is_terminal else self.interval_seconds
        if now - self._shown_at < interval:
            return
        self._shown_at = now
        self._line = self.text()
        if not self._is_terminal:
            print(self._line, file=sys.stderr, flush=True)
            return
        columns = shutil.get_terminal_size().columns - 1
        sys.stderr.write(CLEAR_LINE + self._line[:columns])
        sys.stderr.flush()

    def text(self) -> str:
        """Return the line."""
        minutes = (time.monotonic() - self._started_at) / 60
        parts = [
            time.strftime("%H:%M:%S"),
            self.model or "no model yet",
            f"{self.games:,} games",
            f"{self.games / max(minutes, 1 / 60):,.1f} a minute",
            f"{self.accepted:,} accepted",
        ]
        if self.waiting:
            parts.append(f"{self.waiting:,} to send")
        if self.repeated:
            parts.append(f"{self.repeated:,} repeated")
        if self.rejected:
            parts.append(f"{self.rejected:,} rejected")
        if self.match_games:
            parts.append(f"{self.match_games:,} rating games")
        parts += [text for text in (self.note, self.waits_for) if text]
        return "  ".join(parts)

    def handler(self) -> logging.Handler:
        """Return a handler of the logging module that prints messages above the line."""
        return _Handler(self)

    def message(self, text: str) -> None:
        if not self._is_terminal:
            print(text, file=sys.stderr, flush=True)
            return
        sys.stderr.write(f"{CLEAR_LINE}{text}\n{self._line}")
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
