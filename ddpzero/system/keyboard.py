"""Reads single keys from a terminal, without Enter. Called by `ddpzero play` and `ddpzero monitor`."""

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
# A key that sends several characters sends them at once; Escape sends one character.
_SEQUENCE_SECONDS = 0.02

ReadKey = Callable[[float | None], str]


@contextmanager
def keyboard(*, keeps_signals: bool) -> Iterator[ReadKey]:
    """Yield a function that waits for one key from standard input, a terminal; restore the terminal's settings on exit.

    keeps_signals: whether Ctrl-C and Ctrl-Z act as usual; otherwise they are ordinary keys, "\\x03" and "\\x1a".
    The function takes a time limit in seconds (None: no limit) and returns the character, a name such as "up" or
    "page down", or "" after the time limit or for an unknown key. "\\x04" also means that the terminal is gone.
    Raises ImportError on a system without termios.
    """
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    set_mode = tty.setcbreak if keeps_signals else tty.setraw

    def read_key(timeout_seconds: float | None) -> str:
        # Set for every key: after Ctrl-Z the shell returns the terminal with other settings.
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
