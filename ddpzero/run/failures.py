"""Reports the failure of a rank: the traceback goes to its log file, one sentence to the console, once for all ranks.

`learner.train` wraps all of a rank's work in `FailureReport`. A UserError passes through: main.py shows it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from ddpzero.run.logs import log_path
from ddpzero.run.progress import Progress
from ddpzero.system.errors import UserError, is_sentence_of_ours
from ddpzero.system.json_text import json_text
from ddpzero.system.whole_files import append_whole

if TYPE_CHECKING:
    from ddpzero.run.ranks import Ranks

# Rank 0 may host the store in which the ranks agree on who reports: it stays until the others noticed the failure.
_LINGER_SECONDS = 2.0


class RunFailed(Exception):
    """The run has failed and the reason, this message, is on the console; the caller only exits with code 1."""


class FailureReport:
    """A context manager around the work of one rank that reports a failure and turns it into RunFailed.

    run_dir: the folder of the log file, which is created if it is missing. ranks: set it once the ranks have joined;
    until then every rank reports by itself.
    """

    def __init__(self, run_dir: Path) -> None:
        self.ranks: Ranks | None = None
        self._run_dir = run_dir

    def __enter__(self) -> FailureReport:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        stack: TracebackType | None,
    ) -> None:
        # A SystemExit, which a game or a plugin can raise, would end the process without a message.
        if error is None or isinstance(error, UserError):
            return
        sentence = failure_sentence(error)
        self._report(error, sentence)
        raise RunFailed(sentence) from error

    def _report(self, error: BaseException, sentence: str) -> None:
        """Write the traceback, then let one rank print the sentence."""
        _ignore_interrupts()
        rank = int(os.environ.get("RANK", 0)) if self.ranks is None else self.ranks.rank
        path = log_path(self._run_dir, rank)
        if _append_traceback(path, error):
            where = f"(traceback: {path})"
        elif _explains_itself(error):
            where = f"({path} cannot be written)"
        else:
            where = f"(traceback above: {path} cannot be written)"
            traceback.print_exception(error)
        write_torchrun_note(f"see {path}")
        if self.ranks is None or self.ranks.is_first_to_report(sentence):
            print_failure(f"{sentence} {where}")
        if self.ranks is not None and self.ranks.is_first and self.ranks.world_size > 1:
            time.sleep(_LINGER_SECONDS)


def failure_sentence(error: BaseException) -> str:
    """Return one line about a failure: of this package, of the machine, or a bug."""
    text = _first_line(str(error))
    if isinstance(error, KeyboardInterrupt):
        return (
            "interrupted twice: stopped at once, without a last checkpoint. The same command continues from the newest "
            "one."
        )
    if is_sentence_of_ours(error):
        return text
    if isinstance(error, MemoryError):
        return f"memory ran out{f': {text}' if text else ''}."
    if isinstance(error, OSError) and error.strerror:
        return f"{f'{error.filename}: ' if error.filename else ''}{error.strerror}."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def print_failure(text: str) -> None:
    """Print a line without tearing the progress line of this rank, or of rank 0 on the same terminal."""
    Progress(enabled=False).message(f"ddpzero: {text}")


def leave(sentence: str, exit_code: int) -> NoReturn:
    """Print a sentence once per node, for an error that all ranks of the node share, and exit."""
    write_torchrun_note(sentence)
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"ddpzero: {sentence}", file=sys.stderr, flush=True)
    raise SystemExit(exit_code)


def write_torchrun_note(text: str) -> None:
    """Make torchrun's summary show a line for this rank instead of a traceback."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not path:
        return
    details = {"py_callstack": text, "timestamp": str(int(time.time()))}
    with suppress(OSError):
        Path(path).write_text(json_text({"message": {"message": text, "extraInfo": details}}))


def _ignore_interrupts() -> None:
    """Ignore Ctrl-C from here on: it must not tear the report."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _append_traceback(path: Path, error: BaseException) -> bool:
    """Append the traceback to a log file; return whether that succeeded."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    text = "".join(traceback.format_exception(error))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        line = f"{stamp} CRITICAL {__name__}: this rank failed\n{text}"
        append_whole(path, line.encode(errors="backslashreplace"))
    except OSError:
        return False
    return True


def _explains_itself(error: BaseException) -> bool:
    """Return whether the sentence suffices; a bug also needs its traceback."""
    is_of_machine = isinstance(error, (OSError, MemoryError, KeyboardInterrupt))
    return is_of_machine or is_sentence_of_ours(error)


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0].strip() if lines else ""
