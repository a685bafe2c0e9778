"""Where a run's figures are kept, in its folder: TensorBoard events, metrics.jsonl, status.json.

Rank 0 writes, called by the learner; `ddpzero monitor` reads. The axis is always learner_step. Light to import.
"""

from __future__ import annotations

import io
import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from ddpzero.run_folder import config_text

if TYPE_CHECKING:
    import numpy as np

    from ddpzero.distributed import Ranks

logger = logging.getLogger(__name__)

METRICS_FILE = "metrics.jsonl"
STATUS_FILE = "status.json"
_FRAME_MILLISECONDS = 100


class RunRecord:
    """Where a run's figures are kept, in its folder. Rank 0 writes; at other ranks every method does nothing.

    first_step: the learner_step that this process goes on from; 0 for a new run. What an earlier process recorded
    after it belongs to steps that are done again now: it is dropped, so that curves continue without doubles.

    A full disk costs figures, not the training: it is reported once.
    """

    def __init__(self, run_dir: Path, ranks: Ranks, first_step: int = 0) -> None:
        self._is_writer = ranks.is_first
        self._first_step = first_step
        self._has_complained = False
        if not self._is_writer:
            return
        from torch.utils.tensorboard import (
            SummaryWriter,
        )  # takes a second, and only a writer needs it

        run_dir.mkdir(parents=True, exist_ok=True)
        self._metrics_path = run_dir / METRICS_FILE
        self._status_path = run_dir / STATUS_FILE
        _drop_rows_after(self._metrics_path, first_step)
        self._events = SummaryWriter(
            str(run_dir), purge_step=first_step + 1 if first_step else None
        )
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
        }

    def __enter__(self) -> RunRecord:
        self.status("starting")
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_writer:
            with self._complaining_once():
                self._events.close()

    def config(self, config: Mapping[str, Any]) -> None:
        """Show the resolved config among TensorBoard's texts."""
        self.text("config", config_text(config), self._first_step)

    def text(self, tag: str, text: str, step: int) -> None:
        """Show a text as it is, in a fixed-width font."""
        if self._is_writer:
            with self._complaining_once():
                self._events.add_text(tag, f"```\n{text}\n```", step)

    def film(self, tag: str, frames: Sequence[np.ndarray], step: int) -> None:
        """Show pictures `[height, width, 3]` uint8 as an animated GIF among TensorBoard's images."""
        if not self._is_writer:
            return
        from tensorboard.compat.proto.summary_pb2 import Summary

        height, width, _ = frames[0].shape
        gif = Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=_animated_gif(frames)
        )
        with self._complaining_once():
            summary = Summary(value=[Summary.Value(tag=tag, image=gif)])
            self._events._get_file_writer().add_summary(
                summary, step
            )  # reopens it where it was closed

    def row(self, step: int, scalars: Mapping[str, float]) -> None:
        """Record the figures of an interval. The step that a run resumed from has its point already."""
        if not self._is_writer or (self._first_step and step <= self._first_step):
            return
        with self._complaining_once():
            for tag, value in scalars.items():
                self._events.add_scalar(tag, value, step)
            self._events.flush()
            row = {"learner_step": step, "time": round(time.time(), 3), **_finite(scalars)}
            with open(self._metrics_path, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    def status(self, state: str, **fields: Any) -> None:
        """Tell `ddpzero monitor` how the run is: state and fields; fields stay until they are given again.

        state: "starting", "running", "finished" (by a limit of its own), "stopped" (by a signal) or "failed".
        """
        if not self._is_writer:
            return
        self._status |= {**fields, "state": state, "time": time.time()}
        aside = self._status_path.with_name(f".{STATUS_FILE}.aside")
        with self._complaining_once():
            aside.write_text(json.dumps(_finite(self._status), indent=1), encoding="utf-8")
            aside.replace(self._status_path)

    @contextmanager
    def _complaining_once(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._has_complained:
                logger.warning("figures of this run are being lost: %s", error)
            self._has_complained = True


def _animated_gif(frames: Sequence[np.ndarray]) -> bytes:
    from PIL import Image

    pictures = [Image.fromarray(frame) for frame in frames]
    file = io.BytesIO()
    pictures[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=_FRAME_MILLISECONDS,
        loop=0,
    )
    return file.getvalue()


def read_status(run_dir: Path) -> dict[str, Any] | None:
    """Return what RunRecord.status wrote last, or None if there is nothing readable."""
    try:
        status = json.loads((run_dir / STATUS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return status if isinstance(status, dict) else None


def _drop_rows_after(path: Path, step: int) -> None:
    """Keep the rows up to a step, and no half-written one."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError:
        return
    kept = [line for line in lines if (row := _parsed(line)) and row["learner_step"] <= step]
    aside = path.with_name(f".{path.name}.aside")
    aside.write_text("".join(kept), encoding="utf-8")
    aside.replace(path)


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _finite(value: Any) -> Any:
    """Return the value with None for NaN and infinities, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
