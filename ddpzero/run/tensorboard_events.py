"""Writes a run's TensorBoard event file: curves, texts, films, settings. Called by record.py; light to import.

torch's SummaryWriter writes in a thread that the first full disk ends. Here each call appends complete events or none.
"""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddpzero.run import tensorboard_pages as pages
from ddpzero.system.metric_info import Metrics, info_of
from ddpzero.system.outage import Outage
from ddpzero.system.whole_files import append_whole

if TYPE_CHECKING:
    import numpy as np
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

_FRAME_MILLISECONDS = 100


class TensorBoardEvents:
    """One event file, created by the first call. Events that cannot be written are lost and do not end the run.

    purge_step: TensorBoard discards the points that earlier processes wrote from this step on; None: none.
    metrics: the declarations of the metrics, with descriptions and key metrics.
    """

    def __init__(
        self, run_dir: Path, purge_step: int | None, metrics: Metrics | None = None
    ) -> None:
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.0"
        self._path = run_dir / name
        self._purge_step = purge_step
        self._metrics = metrics or {}
        self._described: set[str] = set()
        self._has_head = False
        self._outage = Outage(f"TensorBoard's {self._path}")

    def metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Add one point to each curve."""
        from torch.utils.tensorboard.summary import scalar

        with self._outage.watch():
            summaries = [scalar(tag, value) for tag, value in metrics.items()]
            for tag, summary in zip(metrics, summaries, strict=True):
                # TensorBoard reads the metadata of a curve's first point.
                if tag not in self._described:
                    description = info_of(self._metrics, tag).description
                    summary.value[0].metadata.CopyFrom(pages.curve_metadata(description))
            self._append(summaries, step)
            self._described.update(metrics)

    def begin(self, config: Mapping[str, Any]) -> None:
        """Show the page of key metrics, and the resolved config in the table of hyperparameters."""
        with self._outage.watch():
            self._append(
                [pages.layout(self._metrics), pages.hyperparameters(config, time.time())], 0
            )

    def end(self, has_failed: bool) -> None:
        """Mark the run as ended in the table of hyperparameters."""
        with self._outage.watch():
            self._append([pages.end_of_session(has_failed, time.time())], 0)

    def text(self, tag: str, text: str, step: int) -> None:
        """Show a text in a fixed-width font."""
        from torch.utils.tensorboard.summary import text as text_summary

        with self._outage.watch():
            self._append([text_summary(tag, f"```\n{text}\n```")], step)

    def film(self, tag: str, frames: Sequence[np.ndarray], step: int) -> None:
        """Show pictures `[height, width, 3]` uint8 as an animated GIF."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        with self._outage.watch():
            height, width, _ = frames[0].shape
            gif = _animated_gif(frames)
            image = Summary.Image(
                height=height, width=width, colorspace=3, encoded_image_string=gif
            )
            self._append([Summary(value=[Summary.Value(tag=tag, image=image)])], step)

    def _append(self, summaries: Sequence[Summary], step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        events = [Event(wall_time=time.time(), step=step, summary=summary) for summary in summaries]
        records = io.BytesIO()
        writer = RecordWriter(records)
        for event in [*([] if self._has_head else self._head()), *events]:
            writer.write(event.SerializeToString())
        append_whole(self._path, records.getvalue())
        self._has_head = True

    def _head(self) -> list[Event]:
        """Return the events that every file begins with."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        head = [Event(wall_time=time.time(), file_version="brain.Event:2")]
        if self._purge_step is not None:
            start = SessionLog(status=SessionLog.START)
            head.append(Event(wall_time=time.time(), step=self._purge_step, session_log=start))
        return head


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
