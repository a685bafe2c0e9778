"""Single keys of a terminal, without the Enter key. Called by `ddpzero play` and `ddpzero monitor`."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ESCAPE = "\x1b"
_SEQUENCES = {
    "[A": "up",
    "[B": "down",
    "[C": "right",
    "[D": "left",
    "[5~": "page up",
    "[6~": "page down",
    "[H": "home",
    "[F": "end",
}
# A key that sends several characters sends them at once; the key Escape sends one.
_SEQUENCE_SECONDS = 0.02

ReadKey = Callable[[float | None], str]


@contextmanager
def keyboard(*, keeps_signals: bool) -> Iterator[ReadKey]:
    """Yield a function that waits for one key of standard input, a terminal; its settings are restored on exit.

    keeps_signals: Ctrl-C and Ctrl-Z act as ever; otherwise they are keys like others, "\\x03" and "\\x1a".
    The function takes a time limit in seconds (None: no limit) and returns the character, a name such as "up" or
    "page down", or "" when the time is over or the key is not known. "\\x04" also stands for a terminal that is gone.
    Raises ImportError on a system without termios.
    """
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    set_mode = tty.setcbreak if keeps_signals else tty.setraw

    def read_key(timeout_seconds: float | None) -> str:
        # Again each time: after Ctrl-Z the shell gives the terminal back with settings of its own.
        set_mode(terminal, termios.TCSADRAIN)
        return _read_key(terminal, timeout_seconds)

    try:
        set_mode(terminal, termios.TCSADRAIN)
        yield read_key
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _read_key(terminal: int, timeout_seconds: float | None) -> str:
    if not select.select([terminal], [], [], timeout_seconds)[0]:
        return ""
    key = os.read(terminal, 1).decode(errors="replace")
    if key != ESCAPE or not select.select([terminal], [], [], _SEQUENCE_SECONDS)[0]:
        return key or "\x04"
    return _SEQUENCES.get(os.read(terminal, 8).decode(errors="replace").replace("O", "["), "")
