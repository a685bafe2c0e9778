"""Makes standard output robust against characters that it cannot encode and readers that close their end.

Called first by both programs, main.py and cli/commands.py; light to import.
"""

from __future__ import annotations

import codecs
import errno
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

# Returns to the start of the line and clears it; see can_redraw_line.
CLEAR_LINE = "\r\x1b[K"

_Result = TypeVar("_Result")

# One character for each, so that columns stay aligned.
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


def can_redraw_line(stream: TextIO) -> bool:
    """Return whether CLEAR_LINE clears the line of this stream."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def plain_console(stderr: bool = False) -> Console:
    """Return a console that shows every name as it is: [/x] in a player's name is no markup, and :x: no picture.

    Rich reads markup in a status and in the title of a panel all the same: give these a Text.
    """
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


@contextmanager
def shown_steps() -> Iterator[Callable[[str], None]]:
    """Yield a function that tells on stderr what a program does now: as one live line on a terminal, else as lines."""
    from rich.text import Text

    console = plain_console(stderr=True)
    if not console.is_terminal:
        yield lambda step: console.print(f"{step} ...", soft_wrap=True)
        return
    with console.status("loading") as status:
        yield lambda step: status.update(Text(step))


def prepare_output() -> None:
    """Make standard output and error replace characters that they cannot encode, and input those it cannot decode.

    A closed stream becomes the null device. COLUMNS=0, which some programs set for an unknown width, is removed.
    """
    if os.environ.get("COLUMNS", "").strip("0 ") == "":
        os.environ.pop("COLUMNS", None)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    codecs.register_error(_HANDLER, _as_ascii)
    for stream, errors in ((sys.stdout, _HANDLER), (sys.stderr, _HANDLER), (sys.stdin, "replace")):
        # In a test or a notebook, the stream may be an object without this method.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=errors)


def until_reader_leaves(program: Callable[[], _Result], result: _Result) -> _Result:
    """Run a program and return its result; return `result` instead if the reader of its output, such as `head`, has
    closed the pipe.

    If the output cannot be written to a full disk, end the program with a sentence and exit code 1.
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
    """Send the rest of the output to the null device, because Python flushes again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _has_lost_its_reader(file_descriptor: int) -> bool:
    poll = select.poll()
    poll.register(file_descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _as_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(_ASCII.get(character, "?") for character in text), error.end
