"""Reports the failure of a rank: the traceback goes to its log file, one sentence to the console, once for all ranks.

`learner.train` wraps all of a rank's work in `FailureReport`. A UserError passes through: main.py shows it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ddpzero.run.logs import log_path
from ddpzero.system.errors import UserError, is_sentence_of_ours
from ddpzero.system.failures import (
    RunFailed,
    failure_sentence,
    print_failure,
    write_torchrun_note,
)
from ddpzero.system.whole_files import append_whole

if TYPE_CHECKING:
    from ddpzero.run.ranks import Ranks

# Rank 0 may host the store in which the ranks agree on who reports: it stays until the others noticed the failure.
_LINGER_SECONDS = 2.0


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
        with _interrupts_ignored():
            self._report(error, sentence)
        raise RunFailed(sentence) from error

    def _report(self, error: BaseException, sentence: str) -> None:
        """Write the traceback, then let one rank print the sentence."""
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


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Within the block ignore Ctrl-C, which must not tear the report."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
