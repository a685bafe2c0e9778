from __future__ import annotations

from rich.console import Console

from ddpzero.system.number_table import number_table


def test_headings_wrap_before_a_digit_is_lost():
    headings = ["actors", "positions/s", "simulations/s", "busy"]
    rows = [["1", "7,529", "11,936", "90.6%"], ["16", "123,456", "1,234,567", "100.0%"]]
    console = Console(width=42)
    with console.capture() as capture:
        console.print(number_table(headings, rows, console.width))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 42
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert cells == rows
    assert "…" not in capture.get()


def test_a_table_may_have_no_rows():
    assert [column.header for column in number_table(["a", "b"], [], 80).columns] == ["a", "b"]
