"""The curves of a run: reads metrics.jsonl while the run writes it. Never imports torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ddpzero.system.guarded_files import is_count, is_finite_number, parse_json_line, printable

# At most this much of the end of a file is read: more rows than a terminal can show.
_MAX_BYTES = 64 << 20
# Far more rows than the widest curve has points, so that thinning out keeps the shape of curves.
_MAX_ROWS = 2048


@dataclass
class Curves:
    """The rows of one run: `steps[i]` is the learner_step of `rows[i]`, which maps tags to finite numbers.

    stride: of a long run, only every `stride`-th row is kept. newest: the newest value of each tag, over all rows.
    num_added: rows added, kept or not.
    """

    steps: list[int] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)
    newest: dict[str, float] = field(default_factory=dict)
    stride: int = 1
    num_added: int = 0

    def add(self, row: dict[str, Any]) -> None:
        """Add a row. Ignores a row without a valid learner_step."""
        step = row.get("learner_step")
        if not is_count(step):
            return
        values = {printable(tag): v for tag, v in row.items() if "/" in tag and is_finite_number(v)}
        self.newest |= values
        if self.num_added % self.stride == 0:
            self.steps.append(step)
            self.rows.append(values)
        self.num_added += 1
        if len(self.rows) > _MAX_ROWS:
            self.steps, self.rows, self.stride = self.steps[::2], self.rows[::2], 2 * self.stride

    def range_of(self, tag: str) -> tuple[float, float] | None:
        """Return the smallest and the largest value of a tag; None if it has fewer than two different values."""
        values = [row[tag] for row in (*self.rows, self.newest) if tag in row]
        low, high = min(values, default=0.0), max(values, default=0.0)
        return (low, high) if low < high else None

    def of(self, tag: str, num_cells: int) -> list[float | None]:
        """Return a tag's curve over learner_step: at most num_cells means over equal ranges of steps.

        A cell without a value repeats the previous one, so that a rare metric still shows as a line. Cells before the
        first value are None.
        """
        if not self.rows or num_cells < 1:
            return []
        if len(self.rows) <= num_cells:
            return _filled([row.get(tag) for row in self.rows])
        first, width = self.steps[0], max(self.steps[-1] - self.steps[0], 1)
        sums, counts = [0.0] * num_cells, [0] * num_cells
        for step, row in zip(self.steps, self.rows, strict=True):
            if tag in row:
                cell = min(max(step - first, 0) * num_cells // width, num_cells - 1)
                sums[cell] += row[tag]
                counts[cell] += 1
        means = [total / n if n else None for total, n in zip(sums, counts, strict=True)]
        return _filled(means)


class CurvesFile:
    """Follows a metrics.jsonl: each `refresh` reads the lines appended since; a replaced file is read again."""

    def __init__(self, path: Path) -> None:
        self.curves = Curves()
        self._path = path
        self._inode = -1
        self._offset = 0

    def refresh(self) -> Curves:
        """Return the curves up to now, without lines that cannot be read."""
        try:
            with open(
                os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb"
            ) as file:
                self._read(file.fileno())
        # There is no row yet, or no permission to read the file.
        except OSError:
            pass
        return self.curves

    def _read(self, file: int) -> None:
        status = os.fstat(file)
        if status.st_ino != self._inode or status.st_size < self._offset:
            self.curves = Curves()
            self._inode = status.st_ino
            self._offset = max(0, status.st_size - _MAX_BYTES)
        data = os.pread(file, min(status.st_size - self._offset, _MAX_BYTES), self._offset)
        whole, newline, _ = data.rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        for line in whole.split(b"\n"):
            self.curves.add(parse_json_line(line) or {})


def _filled(values: Sequence[float | None]) -> list[float | None]:
    filled: list[float | None] = []
    for value in values:
        filled.append(value if value is not None or not filled else filled[-1])
    return filled
