"""The lines of GTP 2: what a command line says, and how it is answered.

https://www.lysator.liu.se/~gunnar/gtp/gtp2-spec-draft2/gtp2-spec.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# An id stands before the command and comes back with the answer, digit by digit.
_REQUEST = re.compile(r"(\d*)\s*(\S+)\s*(.*)", re.ASCII | re.DOTALL)
_CONTROL_CHARACTERS = {code: None for code in (*range(32), 127) if code != ord("\t")}
# A comment with which a program asks to stop a command that runs (gogui-interrupt).
_INTERRUPT = re.compile(r"\s*#\s*interrupt\s*", re.ASCII)


class Refused(Exception):
    """A command that fails. The text is its answer."""


def syntax_error(what: str) -> Refused:
    """Return the refusal of arguments. what: what the command takes."""
    return Refused(f"syntax error: {what}")


@dataclass(frozen=True)
class Request:
    """A command line. id: digits, or "". text: everything after the command; arguments: its words."""

    id: str
    command: str
    text: str = ""

    @property
    def arguments(self) -> list[str]:
        return self.text.split()


def parse_request(line: str) -> Request | None:
    """Return the command of a line; None if it has none: it is empty, or a comment."""
    line = line.translate(_CONTROL_CHARACTERS).replace("\t", " ").partition("#")[0].strip()
    match = _REQUEST.fullmatch(line)
    return Request(*match.groups()) if match and not line.isdecimal() else None


def is_interrupt(line: str) -> bool:
    """Return whether a line asks to stop the command that runs."""
    return _INTERRUPT.fullmatch(line.strip("\r\n")) is not None


def answer(request: Request, text: str, is_failure: bool = False) -> str:
    """Return the answer to a request: one empty line ends it, so that there is none inside.

    A text that begins with an empty line has its first line below the sign and the id, as boards have. A blank follows
    the sign there, too, as in GNU Go: GoGui takes what follows the first blank of an answer.
    """
    lines = [line.rstrip() for line in text.splitlines()]
    begins_below = bool(lines) and not lines[0]
    text = "\n".join(line for line in lines if line)
    between = " \n" if begins_below else " " if text else ""
    return f"{begin_answer(request, is_failure)}{between}{text}\n\n"


def begin_answer(request: Request, is_failure: bool = False) -> str:
    return f"{'?' if is_failure else '='}{request.id}"
