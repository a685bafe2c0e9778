"""`ddpzero monitor runs/x`: shows the state of a run from another terminal, even after it has ended or died.

Reads status.json, metrics.jsonl and the checkpoints' manifests. Never writes to the run folder and never imports torch.
monitor_view.py lays out the page.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.live import Live

from ddpzero.cli.monitor_iterations import iterations_of, iterations_table
from ddpzero.cli.monitor_view import CheckpointLine, Health, Page, RunView, cut, make_page, whole
from ddpzero.run.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    CheckpointError,
    check_size,
    newest_first,
    read_manifest,
)
from ddpzero.run.curves import CurvesFile
from ddpzero.run.finder import RUNS_DIR, find_run, nearest_runs
from ddpzero.run.progress import duration_text
from ddpzero.run.record import METRICS_FILE, STATUS_FILE, read_metric_info, read_status
from ddpzero.system.errors import UserError
from ddpzero.system.guarded_files import printable
from ddpzero.system.json_text import json_text
from ddpzero.system.keyboard import ESCAPE, ReadKey, keyboard
from ddpzero.system.signals import exit_at_signals
from ddpzero.system.terminal import plain_console

# A run that has not reported for this long counts as silent. It reports more often, but saving can delay a report.
_SILENT_AFTER_SECONDS = 60.0
_INTERVAL_SECONDS = 2.0
# After a resize of the terminal, the page is redrawn within this time.
_SIZE_SECONDS = 0.25
# Files of a folder in which a run was started, even if its status cannot be read.
_SIGNS_OF_A_RUN = (STATUS_FILE, CONFIG_FILE)
_KEYS_TO_LEAVE = ("q", "Q", ESCAPE, "\x04")
_LINES_OF_KEY = {"j": 1, "down": 1, "k": -1, "up": -1}
_PAGES_OF_KEY = {" ": 1, "page down": 1, "b": -1, "page up": -1}
_ENDS_OF_KEY = {"g": 0, "home": 0, "G": sys.maxsize, "end": sys.maxsize}


def run_monitor(
    run_dir: str | Path,
    *,
    once: bool = False,
    as_json: bool = False,
    iterations: bool = False,
    interval_seconds: float | None = None,
) -> None:
    """Show a run until the user presses `q` or Ctrl-C. Raises UserError if there is no such run.

    run_dir: its folder, or its name in the folder of all runs. once: print the page once. as_json: print one line of
    JSON once. iterations: print the table of iterations once.
    """
    text = str(run_dir)
    run_dir = find_run(text) or (Path(text) if "/" in text else RUNS_DIR / text)
    console = plain_console()
    file = CurvesFile(run_dir / METRICS_FILE)

    def page() -> Page:
        return make_page(look_at(run_dir, file), console.width, _has_unicode(console))

    if iterations:
        console.print(iterations_table(run_dir.name, iterations_of(run_dir)))
    elif as_json:
        print(json_text(_as_json(look_at(run_dir, file))))
    elif once or not console.is_terminal:
        console.print(whole(page()))
    else:
        _watch(console, page, _INTERVAL_SECONDS if interval_seconds is None else interval_seconds)


def _watch(console: Console, look: Callable[[], Page], interval_seconds: float) -> None:
    """Refresh the page until a key or a signal ends it; then print the whole page once."""
    page = look()
    with ExitStack() as stack:
        stack.enter_context(suppress(KeyboardInterrupt))
        # So that the terminal is restored.
        stack.enter_context(exit_at_signals())
        read_key = stack.enter_context(_keys())
        live = stack.enter_context(Live(console=console, screen=True, auto_refresh=False))
        leave, scroll = ("q leaves", "j k space b: scroll") if read_key else ("Ctrl-C leaves", "")
        first, key = 0, ""
        looked_at, size = time.monotonic(), console.size
        while key not in _KEYS_TO_LEAVE:
            first = _ENDS_OF_KEY.get(key, first + _lines(key, console.height))
            shown, first = cut(page, console.height, first, leave, scroll)
            live.update(shown, refresh=True)
            seconds = min(looked_at + interval_seconds - time.monotonic(), _SIZE_SECONDS)
            key = _wait(read_key, max(seconds, 0.0))
            if console.size != size or time.monotonic() - looked_at >= interval_seconds:
                page, looked_at, size = look(), time.monotonic(), console.size
    console.print(whole(page))


def _lines(key: str, height: int) -> int:
    """Return how many lines a key scrolls; negative for up."""
    return _LINES_OF_KEY.get(key, _PAGES_OF_KEY.get(key, 0) * max(height // 2, 1))


@contextmanager
def _keys() -> Iterator[ReadKey | None]:
    """Yield the function that reads keys; None if standard input is no terminal."""
    if not sys.stdin.isatty():
        yield None
        return
    with keyboard(keeps_signals=True) as read_key:
        yield read_key


def _wait(read_key: ReadKey | None, seconds: float) -> str:
    """Return the key that is pressed within `seconds`, "" for none."""
    if read_key is not None:
        return read_key(seconds)
    time.sleep(seconds)
    return ""


def _has_unicode(console: Console) -> bool:
    # The fonts of a Linux console have few of the block characters.
    return console.encoding.startswith("utf") and os.environ.get("TERM") != "linux"


def look_at(run_dir: Path, curves: CurvesFile | None = None) -> RunView:
    """Read a run's folder. curves: those of an earlier call, to continue. Raises UserError if no run is in it."""
    status = read_status(run_dir)
    if status is None and any(os.path.lexists(run_dir / name) for name in _SIGNS_OF_A_RUN):
        status = {}
    if status is None:
        problem = f"contains no run that ever started (no {STATUS_FILE})"
        raise UserError(
            f"{run_dir} {problem if run_dir.is_dir() else 'does not exist'}."
            f"{nearest_runs(run_dir.name, run_dir.parent)}"
        )
    health, sentence = judge_health(status, now=time.time())
    return RunView(
        run_dir,
        health,
        sentence,
        status,
        _checkpoints(run_dir),
        read_metric_info(run_dir),
        (curves or CurvesFile(run_dir / METRICS_FILE)).refresh(),
    )


def judge_health(status: Mapping[str, Any], now: float) -> tuple[Health, str]:
    """Return the health of a run, and a sentence about it. now: seconds since the epoch.

    On the run's host, the run is alive if rank 0's process is; the start time distinguishes the process from a later
    one with the same id. On other hosts, the age of the last report decides.
    """
    if not all(name in status for name in ("state", "pid", "host", "time")):
        return "unknown", f"{STATUS_FILE} cannot be read: whether the run goes on is not known"
    state = status["state"]
    where = f"process {status['pid']} on {status['host']}"
    silent_seconds = max(now - status["time"], 0.0)
    ago = f"{duration_text(silent_seconds)} ago"
    if state == "finished":
        return "finished", f"finished {ago}: {status.get('stop_reason', '')}"
    if state == "stopped":
        return "stopped", f"stopped {ago}: {status.get('stop_reason', '')}"
    if state == "failed":
        return "failed", f"failed {ago}: {status.get('error', '')}"
    if status["host"] == socket.gethostname() and not _is_process(status):
        return "died", f"{where} is gone, last heard of {ago}; the same command resumes the run"
    if silent_seconds > _SILENT_AFTER_SECONDS:
        return "silent", f"{where} was last heard of {ago}"
    return "running", f"{state}: {where}, heard of {ago}"


def _checkpoints(run_dir: Path) -> list[CheckpointLine]:
    """Return the checkpoints on disk, newest first. Checks only their manifests and the sizes of their files."""
    lines = []
    for path in newest_first(run_dir / CHECKPOINTS_FOLDER):
        try:
            manifest = read_manifest(path)
        except CheckpointError as error:
            lines.append(CheckpointLine(printable(path.name), None, 0, printable(str(error))))
            continue
        problem = ""
        try:
            for name, record in manifest.files.items():
                check_size(path, name, record)
        except CheckpointError as error:
            problem = printable(str(error))
        size_bytes = sum(record.size_bytes for record in manifest.files.values())
        step = manifest.counters["learner_step"]
        lines.append(CheckpointLine(printable(path.name), step, size_bytes, problem))
    return lines


def _is_process(status: Mapping[str, Any]) -> bool:
    """Return whether the process that wrote the status still runs on this host."""
    try:
        process = psutil.Process(status["pid"])
        started = status.get("process_started", process.create_time())
        return (
            abs(process.create_time() - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        )
    # The status may hold a number that no process can have.
    except (psutil.Error, ValueError, OverflowError):
        return False


def _as_json(view: RunView) -> dict[str, Any]:
    return {
        "run_dir": str(view.run_dir),
        "health": view.health,
        "sentence": view.sentence,
        "status": view.status,
        "checkpoints": [vars(line) for line in view.checkpoints],
    }
