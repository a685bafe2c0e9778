"""Single keys, read from a terminal that is a pseudo terminal here."""

from __future__ import annotations

import os
import pty
import sys
import termios
from collections.abc import Iterator

import pytest

from ddpzero.system.keyboard import keyboard


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """(the end that a person types into, the end that standard input is)."""
    person, program = pty.openpty()
    with open(program, closefd=False) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield person, program
    os.close(person)
    os.close(program)


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        (b"q", "q"),
        (b"\x1b", "\x1b"),
        (b"\x1b[A", "up"),
        (b"\x1bOB", "down"),
        (b"\x1b[6~", "page down"),
        (b"\x1b[99~", ""),
        (b"\xff", "\ufffd"),
    ],
)
def test_a_key_is_read_without_enter(terminal: tuple[int, int], typed: bytes, key: str) -> None:
    with keyboard(keeps_signals=True) as read_key:
        assert read_key(0.0) == ""
        os.write(terminal[0], typed)
        assert read_key(5.0) == key


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("keeps_signals", [True, False])
def test_the_terminal_is_left_as_it_was(
    terminal: tuple[int, int], error: type[BaseException] | None, keeps_signals: bool
) -> None:
    before = termios.tcgetattr(terminal[1])
    assert before[3] & termios.ECHO
    try:
        with keyboard(keeps_signals=keeps_signals) as read_key:
            read_key(0.0)
            flags = termios.tcgetattr(terminal[1])[3]
            assert not flags & (termios.ECHO | termios.ICANON)
            assert bool(flags & termios.ISIG) == keeps_signals
            if error is not None:
                raise error
    except (KeyboardInterrupt, RuntimeError):
        pass
    assert termios.tcgetattr(terminal[1]) == before
