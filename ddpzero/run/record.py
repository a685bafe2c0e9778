"""A run's record in its folder: TensorBoard events, metrics.jsonl, status.json.

Rank 0 writes it, called by the learner; `ddpzero monitor` reads it. The axis is always learner_step. Light to import.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import psutil

from ddpzero.run.backends import Backend
from ddpzero.run.checkpoint_files import CHECKPOINTS_FOLDER, newest_first
from ddpzero.run.folder import config_text
from ddpzero.run.tensorboard_events import TensorBoardEvents
from ddpzero.system.errors import UserError
from ddpzero.system.failures import failure_sentence
from ddpzero.system.guarded_files import (
    UnreadableFileError,
    is_count,
    is_finite_number,
    parse_json_line,
    printable,
    read_json,
)
from ddpzero.system.json_text import json_text
from ddpzero.system.metric_info import MetricInfo, Metrics, metrics_from_json, metrics_to_json
from ddpzero.system.outage import Outage
from ddpzero.system.whole_files import append_whole, replace_whole

if TYPE_CHECKING:
    import numpy as np

    from ddpzero.run.ranks import Ranks

METRICS_FILE = "metrics.jsonl"
STATUS_FILE = "status.json"
METRIC_INFO_FILE = "metric_info.json"
# Fields of an earlier process that stay valid until this process writes new ones: a start that fails writes neither
# counters nor a row.
_KEPT_FIELDS = ("epoch", "learner_step", "counters", "metrics", "checkpoint")
# status.json is padded: on a full disk, a longer status still fits into the blocks that the file already has.
_STATUS_SLACK_BYTES = 8192
# A status that is overwritten in place is complete again after a few microseconds.
_READ_ATTEMPTS = 3
_READ_AGAIN_AFTER_SECONDS = 0.02


class RunRecord:
    """A context manager that writes a run's metrics and status. Rank 0 writes; on other ranks every method is a no-op.

    metrics: the declarations of the run's metrics, for readers of the run folder. backends: further places for rows.
    first_step: the learner_step that this process resumes from; 0 for a new run. Rows of later steps, which an earlier
    process wrote, are dropped: those steps are repeated now.
    An exception that leaves the block becomes the status "failed", with its sentence.

    Each of the places fails and recovers by itself, and never ends the training; see outage.py. Only backends depend on
    another place: they get the rows that were written to metrics.jsonl.
    """

    def __init__(
        self,
        run_dir: Path,
        ranks: Ranks,
        first_step: int = 0,
        metrics: Metrics | None = None,
        backends: Sequence[Backend] = (),
    ) -> None:
        self._is_writer = ranks.is_first
        self._run_dir = run_dir
        self._first_step = first_step
        self._status_outage = Outage(str(run_dir / STATUS_FILE))
        self._metrics_outage = Outage(str(run_dir / METRICS_FILE))
        self._backends = [(backend, Outage(backend.name)) for backend in backends]
        self._metrics = metrics
        self._events: TensorBoardEvents | None = None
        if not self._is_writer:
            return
        run_dir.mkdir(parents=True, exist_ok=True)
        before = read_status(run_dir) or {}
        self._status: dict[str, Any] = {
            "run_name": run_dir.name,
            "host": ranks.node,
            "pid": os.getpid(),
            "process_started": psutil.Process().create_time(),
            "started": time.time(),
            "first_started": before.get("first_started", time.time()),
            "num_starts": before.get("num_starts", 0) + 1,
            "world_size": ranks.world_size,
            "device": str(ranks.device),
            **{name: before[name] for name in _KEPT_FIELDS if name in before},
        }
        if metrics is not None:
            with self._status_outage.watch():
                path, text = (
                    run_dir / METRIC_INFO_FILE,
                    json_text(metrics_to_json(metrics), indent=1),
                )
                replace_whole(path, text.encode())

    def __enter__(self) -> RunRecord:
        self.status("starting")
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            sentence = str(error) if isinstance(error, UserError) else failure_sentence(error)
            self.status("failed", error=sentence)
        if self._events is not None:
            self._events.end(has_failed=error is not None)
            self._tell_backends(lambda backend: backend.end(error is not None))

    def go_on_from(self, first_step: int) -> None:
        """Set the step that the run resumes from; call it before anything but the status is written."""
        assert self._events is None, "call go_on_from before the first row or text"
        self._first_step = first_step

    def config(self, config: Mapping[str, Any]) -> None:
        """Begin the curves; show the resolved config among TensorBoard's texts and hyperparameters."""
        self.text("config", config_text(config), self._first_step)
        if self._is_writer:
            self._curves().begin(config)
            self._tell_backends(lambda backend: backend.start(config))

    def text(self, tag: str, text: str, step: int) -> None:
        """Show a text unchanged, in a fixed-width font."""
        if self._is_writer:
            self._curves().text(tag, text, step)

    def film(self, tag: str, frames: Sequence[np.ndarray], step: int) -> None:
        """Show pictures `[height, width, 3]` uint8 as an animated GIF among TensorBoard's images."""
        if self._is_writer:
            self._curves().film(tag, frames, step)

    def row(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of an interval, unless an earlier process already wrote this step."""
        if not self._is_writer or (self._first_step and step <= self._first_step):
            return
        self._curves().metrics(metrics, step)
        row = {"learner_step": step, "time": round(time.time(), 3), **metrics}
        with self._metrics_outage.watch():
            append_whole(self._run_dir / METRICS_FILE, f"{json_text(row)}\n".encode())
            # Backends get only rows that metrics.jsonl contains.
            self._tell_backends(lambda backend: backend.row(row))

    def status(self, state: str, **fields: Any) -> None:
        """Write the state and the fields for `ddpzero monitor`; a field keeps its value until it is given again.

        state: "starting", "running", "finished" (a limit was reached), "stopped" (by a signal) or "failed".
        """
        if not self._is_writer:
            return
        self._status |= {**fields, "state": state, "time": time.time()}
        with self._status_outage.watch():
            _write_status(self._run_dir / STATUS_FILE, json_text(self._status, indent=1))

    def _tell_backends(self, tell: Callable[[Backend], None]) -> None:
        for backend, outage in self._backends:
            with outage.watch():
                tell(backend)

    def _curves(self) -> TensorBoardEvents:
        """Return TensorBoard's events; the first call drops the rows after first_step."""
        if self._events is None:
            purge_step = self._first_step + 1 if self._first_step else None
            self._events = TensorBoardEvents(self._run_dir, purge_step, self._metrics)
            with self._metrics_outage.watch():
                _drop_rows_after(self._run_dir / METRICS_FILE, self._first_step)
        return self._events


def _write_status(path: Path, text: str) -> None:
    """Replace the file; if no new file can be written (disk full), overwrite the old one in place."""
    data = text.encode()
    try:
        replace_whole(path, data + b" " * (_STATUS_SLACK_BYTES - len(data) % _STATUS_SLACK_BYTES))
    except OSError:
        if not _overwrite(path, data):
            raise


def _overwrite(path: Path, data: bytes) -> bool:
    """Overwrite a file that is at least as long as the data; return whether that was possible."""
    try:
        with open(path, "r+b", buffering=0) as file:
            size_bytes = file.seek(0, os.SEEK_END)
            return len(data) <= size_bytes and (
                os.pwrite(file.fileno(), data.ljust(size_bytes), 0) == size_bytes
            )
    except OSError:
        return False


def read_status(run_dir: Path) -> dict[str, Any] | None:
    """Return what RunRecord.status wrote last, or None if it is missing or unreadable.

    Drops unknown fields, and fields whose type is not the one that `status` writes.
    """
    for _ in range(_READ_ATTEMPTS):
        if not (run_dir / STATUS_FILE).is_file():
            return None
        try:
            status = read_json(run_dir / STATUS_FILE)
        except UnreadableFileError:
            time.sleep(_READ_AGAIN_AFTER_SECONDS)
            continue
        return _known_fields(status) if isinstance(status, dict) else None
    return None


def is_new_run(run_dir: Path) -> bool:
    """Return whether no training has started in the folder: it has neither a status nor a checkpoint."""
    has_status = (run_dir / STATUS_FILE).exists()
    return not has_status and not newest_first(run_dir / CHECKPOINTS_FOLDER)


def read_metric_info(run_dir: Path) -> dict[str, MetricInfo]:
    """Return the run's declarations of its metrics; empty for runs of versions that wrote none."""
    try:
        return metrics_from_json(read_json(run_dir / METRIC_INFO_FILE))
    except UnreadableFileError:
        return {}


def _known_fields(status: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        name: value for name, value in status.items() if name in _FIELDS and _FIELDS[name](value)
    }
    for name, value in known.items():
        if isinstance(value, str):
            known[name] = "\n".join(map(printable, value.splitlines()))
        elif isinstance(value, dict):
            known[name] = {printable(k): v for k, v in value.items() if is_finite_number(v)}
    return known


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_number_or_none(value: Any) -> bool:
    return value is None or is_finite_number(value)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


_FIELDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("run_name", "host", "device", "state", "stop_reason"), _is_text),
    **dict.fromkeys(("error", "checkpoint"), _is_text_or_none),
    **dict.fromkeys(("time", "started", "first_started", "process_started"), is_finite_number),
    **dict.fromkeys(("pid", "num_starts", "world_size"), is_count),
    **dict.fromkeys(("epoch", "learner_step", "num_actors", "actor_restarts"), is_count),
    "seconds_left": _is_number_or_none,
    **dict.fromkeys(("counters", "metrics"), _is_object),
}


def _drop_rows_after(path: Path, step: int) -> None:
    """Keep the rows up to a step; drop later, incomplete and invalid ones. Raises OSError."""
    if not path.is_file():
        return
    kept = []
    with open(path, "rb") as file:
        for line in file:
            row = parse_json_line(line)
            learner_step = (row or {}).get("learner_step")
            if is_count(learner_step) and learner_step <= step:
                kept.append(line if line.endswith(b"\n") else line + b"\n")
    replace_whole(path, b"".join(kept))
