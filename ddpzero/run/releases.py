"""The verdicts on a run's models, `runs/<run_name>/releases.jsonl`: a line for each released or rejected model.

Lines are appended and never changed, so the best model, which is the one released last, survives a kill at any moment.
Written by rank 0 through arena/release.py; light to import.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from ddpzero.system.guarded_files import (
    is_count,
    is_finite_number,
    parse_json_line,
    printable,
    read_rows,
)
from ddpzero.system.json_text import json_text
from ddpzero.system.whole_files import append_whole, drop_incomplete_line

RELEASES_FILE = "releases.jsonl"


@dataclass(frozen=True)
class Verdict:
    """A decision about one model. reason: a sentence with the figures behind it. time: Unix time."""

    model: str
    is_released: bool
    reason: str
    learner_step: int
    time: float


def read_verdicts(run_dir: Path) -> list[Verdict]:
    """Return a run's verdicts, oldest first; warns of damaged lines."""
    return read_rows(run_dir / RELEASES_FILE, _verdict)


def repair_verdicts(run_dir: Path) -> None:
    """Remove a line that a crash of the machine cut off, before lines are appended."""
    drop_incomplete_line(run_dir / RELEASES_FILE)


def append_verdict(run_dir: Path, verdict: Verdict) -> None:
    """Append a verdict. Raises OSError if it cannot be written."""
    append_whole(run_dir / RELEASES_FILE, f"{json_text(asdict(verdict))}\n".encode())


def best_of(verdicts: list[Verdict]) -> str | None:
    """Return the model that was released last; None if no model was."""
    release = last_release(verdicts)
    return release.model if release else None


def last_release(verdicts: list[Verdict], before_step: float = math.inf) -> Verdict | None:
    """Return the verdict on the model that was released last, of those saved before a step; None if no model was.

    A run that resumes from an older checkpoint makes its last steps again: later verdicts do not count for these.
    """
    released = [v for v in verdicts if v.is_released and v.learner_step < before_step]
    return released[-1] if released else None


def _verdict(line: bytes) -> Verdict | None:
    row = parse_json_line(line)
    if row is None:
        return None
    model, reason, step, time = (
        row.get(name) for name in ("model", "reason", "learner_step", "time")
    )
    if not (
        isinstance(model, str)
        and "/" not in model
        and isinstance(row.get("is_released"), bool)
        and isinstance(reason, str)
        and is_count(step)
        and time is not None
        and is_finite_number(time)
    ):
        return None
    return Verdict(printable(model), row["is_released"], printable(reason), step, float(time))
