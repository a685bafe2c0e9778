"""Standard output that never ends a program: letters that it cannot show, and readers that have seen enough.

Called first of all by both programs, main.py and cli/commands.py; imports nothing heavy.
"""

from __future__ import annotations

import codecs
import errno
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_Result = TypeVar("_Result")

# One character for one, so that columns stay in line.
_ASCII = {
    **dict.fromkeys("●○◉◎•", "o"),
    **dict.fromkeys("·…", "."),
    **dict.fromkeys("━─╸╺═", "-"),
    **dict.fromkeys("│┃║╎", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯", "+"),
    **dict.fromkeys("█▇▆▅▄▃▂▁▉▊▋▌▍▎▏▓▒░■□▀", "#"),
    **dict.fromkeys("–—−", "-"),
    **dict.fromkeys("’‘", "'"),
    **dict.fromkeys("“”", '"'),
    **dict.fromkeys("×✕✗", "x"),
    **dict.fromkeys("▲△↑", "^"),
    **dict.fromkeys("▼▽↓", "v"),
    **dict.fromkeys("◀←", "<"),
    **dict.fromkeys("▶→", ">"),
    "±": "~",
}
_HANDLER = "ddpzero.ascii"
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def prepare_output() -> None:
    """Let standard output and error replace what their encoding lacks, and input what it cannot read.

    A stream that the caller has closed becomes the null device.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    codecs.register_error(_HANDLER, _as_ascii)
    for stream, errors in ((sys.stdout, _HANDLER), (sys.stderr, _HANDLER), (sys.stdin, "replace")):
        reconfigure = getattr(stream, "reconfigure", None)  # a test or a notebook puts others there
        if reconfigure is not None:
            reconfigure(errors=errors)


def until_reader_leaves(program: Callable[[], _Result], result: _Result) -> _Result:
    """Run a program; `result` takes the place of its own when the reader of its output, `head` perhaps, has left.

    Output that a full disk does not take ends the program with a sentence and exit code 1.
    """
    try:
        try:
            return program()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _has_lost_its_reader(sys.stdout.fileno()):
            raise
        _write_no_more()
        return result
    except OSError as error:
        if error.filename is not None or error.errno not in _DISK_ERRORS:
            raise
        _write_no_more()
        with suppress(OSError):
            print(f"ddpzero: the output cannot be written: {error.strerror}.", file=sys.stderr)
        raise SystemExit(1) from None


def _write_no_more() -> None:
    """Python flushes again at the end: into nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _has_lost_its_reader(file_descriptor: int) -> bool:
    poll = select.poll()
    poll.register(file_descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _as_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(_ASCII.get(character, "?") for character in text), error.end
