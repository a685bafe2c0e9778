"""How a failed process ends: one sentence on the console, its exit code, and its line in torchrun's summary."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from ddpzero.system.errors import is_sentence_of_ours
from ddpzero.system.json_text import json_text
from ddpzero.system.terminal import CLEAR_LINE, can_redraw_line


class RunFailed(Exception):
    """The run has failed and the reason, this message, is on the console; the caller only exits with code 1."""


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


def how_it_ended(exit_code: int | None) -> str:
    """Return how a process ended: "exit code 1", or the signal that killed it."""
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    hint = ", as the kernel does when memory runs out" if exit_code == -signal.SIGKILL else ""
    return f"killed by {signal.Signals(-exit_code).name}{hint}"


def print_failure(text: str) -> None:
    """Print a line without tearing the progress line of this rank, or of rank 0 on the same terminal."""
    # The terminal may be gone (ssh, nohup).
    with suppress(OSError, ValueError):
        clear = CLEAR_LINE if can_redraw_line(sys.stderr) else ""
        print(f"{clear}ddpzero: {text}", file=sys.stderr, flush=True)


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


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0].strip() if lines else ""
