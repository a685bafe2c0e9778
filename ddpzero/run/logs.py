"""Sets up logging: a log file for each rank, and the console with rank 0's messages and the warnings of all ranks.

Called once per rank by the learner. Modules log through `logging.getLogger(__name__)` and know nothing about this file.
"""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
from contextlib import suppress
from pathlib import Path

from ddpzero.run.progress import Progress
from ddpzero.system.log_file import LogFileHandler

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


def setup_logging(
    run_dir: Path, rank: int, world_size: int, level: str, progress: Progress | None = None
) -> None:
    """Send this rank's messages to logs/rank<r>.log (appended to on a resume) and the important ones to the console.

    level: the file's level, "debug", "info" or "warning". The console shows rank 0's information and every rank's
    warnings, above a progress line; it shows the first line of a warning, and the file has the rest. Python's warnings
    take the same paths. Tracebacks of threads and the stacks of a crash go only to the file.
    """
    path = log_path(run_dir, rank)
    to_console = _ConsoleHandler(progress or Progress(enabled=False))
    to_console.setLevel(logging.INFO if rank == 0 else logging.WARNING)
    prefix = f"[rank {rank}] " if world_size > 1 else ""
    to_console.setFormatter(_ConsoleFormatter(prefix, f"logs/{path.name}"))
    # The files of all ranks are on one disk, so rank 0 reports a full disk for all of them.
    to_file = LogFileHandler(path, to_console.say if rank == 0 else None)
    to_file.setLevel(_LEVELS[level])
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    root.addHandler(to_file)
    root.addHandler(to_console)
    root.setLevel(logging.WARNING)
    logging.getLogger("ddpzero").setLevel(_LEVELS[level])
    logging.captureWarnings(True)
    _log_uncaught_errors(to_file)


def log_path(run_dir: Path, rank: int) -> Path:
    """Return the path of a rank's log file."""
    return run_dir / "logs" / f"rank{rank}.log"


def _log_uncaught_errors(handler: LogFileHandler) -> None:
    """Log what Python would print to the console: errors of threads and of destructors, the stacks of a crash."""

    def log(message: str, error: BaseException | None) -> None:
        exc_info = None if error is None else (type(error), error, error.__traceback__)
        handler.handle(
            logging.LogRecord(__name__, logging.ERROR, __file__, 0, message, None, exc_info)
        )

    threading.excepthook = lambda args: log("a thread failed", args.exc_value)
    sys.unraisablehook = lambda args: log("an error was ignored", args.exc_value)
    try:
        faulthandler.enable(handler.fileno())
    except OSError:
        # stderr may not be a real file.
        with suppress(OSError, ValueError):
            faulthandler.enable()


class _ConsoleFormatter(logging.Formatter):
    """Writes "12:34:56 message"; warnings and errors on one line, with their level and rank.

    log_name: the file that has the remaining lines.
    """

    def __init__(self, prefix: str, log_name: str) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._prefix = prefix
        self._log_name = log_name

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno >= logging.WARNING:
            first_line, _, rest = text.strip().partition("\n")
            more = f" (more in {self._log_name})" if rest else ""
            text = f"{self._prefix}{record.levelname.lower()}: {first_line}{more}"
        return f"{self.formatTime(record, self.datefmt)} {text}"


class _ConsoleHandler(logging.Handler):
    """Prints without tearing the progress line of this rank, or of rank 0 on the same terminal."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._progress.message(self.format(record))
        # As in logging's own handlers: a message must not end the run.
        except Exception:
            self.handleError(record)

    def say(self, level: int, text: str) -> None:
        """Print a message that cannot be written to the log file."""
        self.handle(logging.LogRecord(__name__, level, __file__, 0, text, None, None))
