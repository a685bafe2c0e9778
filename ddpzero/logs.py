"""Who says what where: each rank's own log file, and the console, which is rank 0's with everybody's warnings.

Called once per rank by the learner. Modules log through `logging.getLogger(__name__)` and know nothing of this.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import TracebackType

from ddpzero.progress import Progress

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


def setup_logging(
    run_dir: Path, rank: int, world_size: int, level: str, progress: Progress | None = None
) -> None:
    """Send this rank's messages to logs/rank<r>.log (appended to over resumes) and the important ones to the console.

    level: of the file, "debug", "info" or "warning". The console shows rank 0's information and every rank's warnings,
    above the progress line if there is one. Python's own warnings go the same ways. The traceback that ends the
    process goes into the file, too: other ranks refer to it.
    """
    path = log_path(run_dir, rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(path, encoding="utf-8")
    to_file.setLevel(_LEVELS[level])
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    to_console = _ConsoleHandler(progress or Progress(enabled=False))
    to_console.setLevel(logging.INFO if rank == 0 else logging.WARNING)
    to_console.setFormatter(_ConsoleFormatter(f"[rank {rank}] " if world_size > 1 else ""))
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    root.addHandler(to_file)
    root.addHandler(to_console)
    root.setLevel(logging.WARNING)
    logging.getLogger("ddpzero").setLevel(_LEVELS[level])
    logging.captureWarnings(True)
    sys.excepthook = _ExceptHook(to_file)


def log_path(run_dir: Path, rank: int) -> Path:
    """Where a rank logs."""
    return run_dir / "logs" / f"rank{rank}.log"


class _ExceptHook:
    """Writes the exception that ends this process into its log, then prints it as Python does."""

    def __init__(self, to_file: logging.Handler) -> None:
        self._to_file = to_file

    def __call__(
        self,
        error_type: type[BaseException],
        error: BaseException,
        traceback: TracebackType | None,
    ) -> None:
        self._to_file.handle(
            logging.LogRecord(
                name=__name__,
                level=logging.CRITICAL,
                pathname=__file__,
                lineno=0,
                msg="this rank ends with an error",
                args=None,
                exc_info=(error_type, error, traceback),
            )
        )
        sys.__excepthook__(error_type, error, traceback)


class _ConsoleFormatter(logging.Formatter):
    """Writes "12:34:56 message"; warnings and errors say so, and of which rank they are."""

    def __init__(self, prefix: str) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._prefix = prefix

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno >= logging.WARNING:
            text = f"{self._prefix}{record.levelname.lower()}: {text}"
        return f"{self.formatTime(record, self.datefmt)} {text}"


class _ConsoleHandler(logging.Handler):
    """Prints without tearing the progress line: ours, or that of rank 0 on the same terminal."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._progress.message(self.format(record))
        except Exception:  # as logging's own handlers do: a message must not end the run
            self.handleError(record)
