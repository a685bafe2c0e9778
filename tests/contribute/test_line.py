"""The live line of a contributor: what is left of it on a narrow terminal, and what remains on the screen."""

from __future__ import annotations

import re
import shutil
import sys
from os import terminal_size
from typing import Any

import pytest

from ddpzero.contribute.line import StatusLine

MODEL = "nc_ttt-b2c32-s512000-d150179"
PROBLEM = "the server cannot be reached (connection refused)"


class Terminal:
    """Standard error that keeps what a terminal of some columns would show."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self.written = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.written += text

    def flush(self) -> None:
        pass

    @property
    def rows(self) -> list[str]:
        rows = [""]
        for piece in re.split(r"(\n|\r\x1b\[K)", self.written):
            if piece == "\n":
                rows.append("")
            elif piece.startswith("\r"):
                # Only the last row, as terminals do.
                rows[-1] = ""
            else:
                rows[-1] += piece
                while len(rows[-1]) > self._columns:
                    rows[-1:] = [rows[-1][: self._columns], rows[-1][self._columns :]]
        return rows


def full_line(**changes: Any) -> StatusLine:
    line = StatusLine()
    line.model, line.games, line.accepted, line.waiting = MODEL, 842_000, 5_450, 836_550
    line.repeated, line.rejected, line.match_games, line.waits_for = 800, 25, 20, PROBLEM
    for name, value in changes.items():
        setattr(line, name, value)
    return line


@pytest.mark.parametrize("columns", range(39, 200))
@pytest.mark.parametrize("problem", ["", PROBLEM])
def test_the_line_fits_and_keeps_what_matters_most(columns, problem):
    text = full_line(waits_for=problem).text(columns)
    assert len(text) <= columns and "842,000 games" in text
    if problem:
        assert problem[:19] in text
        assert columns < 75 or "836,550 to send" in text
    else:
        assert "836,550 to send" in text and (columns < 60 or "5,450 accepted" in text)


def test_the_name_of_the_model_is_shortened_before_anything_is_left_out():
    line = full_line(waits_for="")
    whole = line.text(200)
    text = line.text(len(whole) - 16)
    assert MODEL in whole and "nc_ttt…50179" in text
    assert whole.split("  ")[2:] == text.split("  ")[2:]


@pytest.mark.parametrize(
    ("problem", "shown"),
    [
        ("http://x:1 cannot be reached (connection refused)", PROBLEM),
        ("no learner has pushed a model yet (http://x:1)", "no learner has pushed a model yet"),
    ],
)
def test_the_address_of_the_server_does_not_take_the_place_of_the_problem(problem, shown):
    assert full_line(waits_for=problem, server="http://x:1").text().endswith(f"games  {shown}")


def test_a_message_leaves_no_old_line_behind(monkeypatch):
    terminal = Terminal(60)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda **_: terminal_size((60, 24)))
    with full_line() as line:
        line.show()
        for number in range(3):
            line.message(f"message {number}")
        assert terminal.rows[:3] == ["message 0", "message 1", "message 2"]
        assert len(terminal.rows) == 4 and "842,000 games" in terminal.rows[3]
    assert terminal.rows == ["message 0", "message 1", "message 2", ""]


def test_a_contributor_that_never_began_shows_no_line(capsys):
    with StatusLine():
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("games", "shown"), [(55_496, "5,550 a minute"), (3, "0.3 a minute"), (0, "0.0 a minute")]
)
def test_games_a_minute_have_a_decimal_only_if_they_are_few(games, shown):
    line = full_line(games=games)
    line._started_at -= 600
    assert shown in line.text()
