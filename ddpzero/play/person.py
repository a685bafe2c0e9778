"""The person at the terminal: prints text, reads lines and single keys, and asks until an answer is valid."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

from ddpzero.system.keyboard import keyboard

_INTERRUPT, _END_OF_INPUT = "\x03", "\x04"


class Leave(Exception):
    """The person quits."""


class TimeIsUp(Exception):
    """The person did not answer in time."""


class Person:
    """The person at the terminal."""

    def __init__(self, console: Console, read: Callable[[str], str] | None = None):
        """read: shows a prompt and returns a line, or raises EOFError at the end. None: reads from the console."""
        self.console = console
        self._read = read or self._read_from_console

    def say(self, text: str, style: str | None = None) -> None:
        self.console.print(text, style=style, markup=False, highlight=False)

    def say_whole(self, text: str) -> None:
        """Print a line that is not broken at the terminal's width: a command to be copied."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def read_line(self, prompt: str) -> str:
        """Return a line in lower case. Raises Leave at the end of input."""
        return self.read_words(prompt).lower()

    def read_words(self, prompt: str, seconds: float | None = None) -> str:
        """Return a line as it was typed, which may name a file. Raises Leave at the end of input.

        seconds: raises TimeIsUp as soon as they are over, and forgets what was typed; None: they are not limited.
        """
        try:
            with _time_limit(seconds):
                return self._read(prompt).strip()
        except (EOFError, KeyboardInterrupt):
            raise Leave from None
        except TimeIsUp:
            _forget_typed()
            raise

    def ask(self, prompt: str, answers: Mapping[str, object]) -> object:
        """Ask until one of the answers is given. Raises Leave at the end of input or on quit."""
        while True:
            line = self.read_line(prompt)
            if line in ("quit", "exit", "q"):
                raise Leave
            if line in answers:
                return answers[line]
            self.say(f"please answer with one of: {', '.join(answers)}")

    def ask_another_game(self) -> bool:
        answer = self.ask("another game? [y/n] ", {"y": True, "yes": True, "n": False, "no": False})
        return bool(answer)

    def _read_from_console(self, prompt: str) -> str:
        line = self.console.input(prompt, markup=False)
        # What a terminal shows while it is typed: without it, the answer would begin on the line of the prompt.
        if not sys.stdin.isatty():
            self.say(line)
        return line

    def read_key(self, prompt: str) -> str:
        """Return one key in lower case, or "up", "down", "left", "right" for an arrow; without a terminal, a line."""
        if not (sys.stdin.isatty() and self.console.is_terminal):
            return self.read_line(prompt)
        try:
            with keyboard(keeps_signals=False) as read_key:
                key = read_key(None)
        # A system without termios.
        except ImportError:
            return self.read_line(prompt)
        if key in (_INTERRUPT, _END_OF_INPUT):
            raise Leave
        return key.lower()


@contextmanager
def _time_limit(seconds: float | None) -> Iterator[None]:
    """Raise TimeIsUp in the block after some seconds, also while it waits for a line.

    Only the main thread hears the signal that does it; elsewhere there is no limit.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise TimeIsUp

    handler = signal.signal(signal.SIGALRM, end)
    try:
        # 0 would mean no timer.
        timer = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, *timer)
    finally:
        signal.signal(signal.SIGALRM, handler)


def _forget_typed() -> None:
    """Drop what was typed on a terminal without Enter: the next question would take it for its answer."""
    if not sys.stdin.isatty():
        return
    try:
        import termios
    # A system without it.
    except ImportError:
        return
    termios.tcflush(sys.stdin, termios.TCIFLUSH)
