"""The person at the terminal: reads lines and single keys, asks until there is an answer, says things."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from rich.console import Console

from ddpzero.system.keyboard import keyboard

_INTERRUPT, _END_OF_INPUT = "\x03", "\x04"


class Leave(Exception):
    """The person wants to go."""


class Person:
    """Whoever sits there."""

    def __init__(self, console: Console, read: Callable[[str], str] | None = None):
        """read: asks with a prompt and returns a line; EOFError at the end of input. None: at the console."""
        self.console = console
        self._read = read or (lambda prompt: console.input(prompt, markup=False))

    def say(self, text: str, style: str | None = None) -> None:
        self.console.print(text, style=style, markup=False, highlight=False)

    def read_line(self, prompt: str) -> str:
        """A line in lower case; Leave at the end of input."""
        try:
            return self._read(prompt).strip().lower()
        except (EOFError, KeyboardInterrupt):
            raise Leave from None

    def ask(self, prompt: str, answers: Mapping[str, object]) -> object:
        """Ask until one of the answers is given; Leave at the end of input or on quit."""
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

    def read_key(self, prompt: str) -> str:
        """One key in lower case, "up", "down", "left" or "right" for an arrow; a line where there is no terminal."""
        if not (sys.stdin.isatty() and self.console.is_terminal):
            return self.read_line(prompt)
        try:
            with keyboard(keeps_signals=False) as read_key:
                key = read_key(None)
        except ImportError:  # a system without termios
            return self.read_line(prompt)
        if key in (_INTERRUPT, _END_OF_INPUT):
            raise Leave
        return key.lower()
