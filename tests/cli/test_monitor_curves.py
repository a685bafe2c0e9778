"""Curves for the terminal: reading a file that grows, is replaced or is garbage; what a sparkline looks like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ddpzero.cli.monitor_curves import sparkline
from ddpzero.run.curves import Curves, CurvesFile


def line(step: int, **scalars: float | None) -> str:
    return (
        json.dumps({"learner_step": step, "time": 1.0, **{f"x/{k}": v for k, v in scalars.items()}})
        + "\n"
    )


def test_a_refresh_reads_what_was_appended_and_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    file = CurvesFile(path)
    assert file.refresh().newest == {}
    path.write_text(line(1, a=1.0))
    assert file.refresh().of("x/a", 10) == [1.0]
    whole = line(2, a=2.0)
    with open(path, "a") as out:
        out.write(whole[:9])
        out.flush()
        assert file.refresh().of("x/a", 10) == [1.0]
        out.write(whole[9:])
    assert file.refresh().of("x/a", 10) == [1.0, 2.0]


def test_a_file_that_a_resumed_run_has_replaced_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1, a=1.0) + line(2, a=2.0))
    file = CurvesFile(path)
    file.refresh()
    (tmp_path / "aside").write_text(line(1, a=1.0) + line(3, a=5.0) + line(4, a=6.0))
    (tmp_path / "aside").replace(path)
    assert file.refresh().of("x/a", 10) == [1.0, 5.0, 6.0]


def test_garbage_and_what_is_no_number_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows = [b"\xff", b"[]", b'{"learner_step": "1", "x/a": 1}', b'{"learner_step": 1e999}', b"{"]
    path.write_bytes(
        b"\n".join([*rows, line(5, a=3.0, b=None).encode(), b'{"learner_step": 6, "x/a": []}\n'])
    )
    curves = CurvesFile(path).refresh()
    assert curves.newest == {"x/a": 3.0}
    assert curves.steps == [5, 6]


def test_a_long_run_keeps_the_shape_of_its_curve() -> None:
    curves = Curves()
    for step in range(20_000):
        curves.add({"learner_step": step, "x/a": float(step)})
    assert len(curves.rows) < 2100
    cells = curves.of("x/a", 8)
    assert sparkline(cells, has_unicode=True) == "▁▂▃▄▅▆▇█"
    assert curves.newest == {"x/a": 19_999.0}
    assert len(curves.steps) == len(curves.rows)
    assert curves.range_of("x/a") == (0.0, 19_999.0)


def test_a_metric_that_comes_rarely_is_still_a_line() -> None:
    curves = Curves()
    for step in range(100):
        curves.add(
            {"learner_step": step, "x/a": 1.0, **({"x/b": float(step)} if step in (40, 80) else {})}
        )
    assert curves.of("x/b", 5) == [None, None, 40.0, 40.0, 80.0]
    assert (curves.range_of("x/a"), curves.range_of("x/b")) == (None, (40.0, 80.0))


@pytest.mark.parametrize(
    ("values", "drawn", "ascii_drawn"),
    [
        ([0.0, 1.0], "▁█", "_#"),
        ([3.0, 3.0, 3.0], "▄▄▄", ":::"),
        ([None, 0.0, 7.0, 3.0], " ▁█▄", " _#:"),
        ([-1e300, 1e300], "▁█", "_#"),
        ([None, None], "", ""),
        ([], "", ""),
    ],
)
def test_a_sparkline_goes_from_its_smallest_to_its_largest_value(
    values: list[float | None], drawn: str, ascii_drawn: str
) -> None:
    assert sparkline(values, has_unicode=True) == drawn
    assert sparkline(values, has_unicode=False) == ascii_drawn
