"""metrics.csv: the rows of metrics.jsonl as a table. A backend of backends.py.

metrics.jsonl is the original. If the table cannot be continued (a new process, a new column, a row that did not fit on
the disk), it is rewritten from there, so that it never repeats or lacks a row.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ddpzero.system.guarded_files import is_count, parse_json_line
from ddpzero.system.whole_files import append_whole, replace_whole

CSV_FILE = "metrics.csv"
_FIRST_COLUMNS = ("learner_step", "time")


class CsvFile:
    """The table of one run. A metric that a row lacks is an empty cell; new columns are added on the right."""

    def __init__(self, run_dir: Path, original: str = "metrics.jsonl") -> None:
        self._path = run_dir / CSV_FILE
        self._original = run_dir / original
        self._columns: dict[str, None] = {}
        self._is_whole = False

    @property
    def name(self) -> str:
        return str(self._path)

    def start(self, config: Mapping[str, Any]) -> None:
        self._make_anew()

    def row(self, row: Mapping[str, float]) -> None:
        if not self._is_whole or not row.keys() <= self._columns.keys() or not self._path.exists():
            self._make_anew()
            return
        self._is_whole = False
        append_whole(self._path, self._line(row).encode())
        self._is_whole = True

    def end(self, has_failed: bool) -> None:
        if not self._is_whole:
            self._make_anew()

    def _make_anew(self) -> None:
        self._is_whole = False
        self._columns = dict.fromkeys(_FIRST_COLUMNS)
        for row in self._rows():
            self._columns |= dict.fromkeys(row)
        replace_whole(self._path, self._write)
        self._is_whole = True

    def _write(self, file: BinaryIO) -> None:
        file.write(self._line({name: name for name in self._columns}).encode())
        for row in self._rows():
            file.write(self._line(row).encode())

    def _rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the original one at a time: the rows of a long run should not all be in memory."""
        if not self._original.is_file():
            return
        with open(self._original, "rb") as file:
            for line in file:
                row = parse_json_line(line)
                if row is not None and is_count(row.get("learner_step")):
                    yield row

    def _line(self, row: Mapping[str, Any]) -> str:
        text = io.StringIO()
        cells = ["" if _is_missing(row.get(name)) else row[name] for name in self._columns]
        csv.writer(text, lineterminator="\n").writerow(cells)
        return text.getvalue()


def _is_missing(value: Any) -> bool:
    """Return whether metrics.jsonl has null or no value for it."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))
