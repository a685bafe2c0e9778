"""`ddpzero monitor runs/x`: how a run is doing, from another terminal, also when it has ended or died.

Reads status.json, metrics.jsonl and the checkpoints' manifests; never writes into the run folder and never imports
torch. monitor_view.py draws what is found here.
"""

from __future__ import annotations

import os
import signal
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

from ddpzero.cli.monitor_curves import CurvesFile
from ddpzero.cli.monitor_view import CheckpointLine, Health, Page, RunView, cut, make_page, whole
from ddpzero.run.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    CheckpointError,
    check_size,
    newest_first,
    read_manifest,
)
from ddpzero.run.finder import RUNS_DIR, find_run
from ddpzero.run.progress import duration_text
from ddpzero.run.record import METRICS_FILE, STATUS_FILE, read_metric_info, read_status
from ddpzero.system.errors import UserError
from ddpzero.system.guarded_files import printable
from ddpzero.system.json_text import json_text
from ddpzero.system.keyboard import ESCAPE, ReadKey, keyboard

# A run that says nothing for so long is silent: it reports every logging.interval_seconds, but may be saving.
_SILENT_AFTER_SECONDS = 60.0
_INTERVAL_SECONDS = 2.0
# A terminal that has another size is drawn anew after this time at most.
_SIZE_SECONDS = 0.25
# Of a folder that a run was started in, even if it says nothing of itself.
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
    interval_seconds: float | None = None,
) -> None:
    """Show a run until `q` or Ctrl-C, or once; as_json: once, as one line. Raises UserError if there is no such run.

    run_dir: its folder, or its name in the folder of all runs.
    """
    text = str(run_dir)
    run_dir = find_run(text) or (Path(text) if "/" in text else RUNS_DIR / text)
    console = Console(highlight=False)
    file = CurvesFile(run_dir / METRICS_FILE)

    def page() -> Page:
        return make_page(look_at(run_dir, file), console.width, _has_unicode(console))

    if as_json:
        print(json_text(_as_json(look_at(run_dir, file))))
    elif once or not console.is_terminal:
        console.print(whole(page()))
    else:
        _watch(console, page, _INTERVAL_SECONDS if interval_seconds is None else interval_seconds)


def _watch(console: Console, look: Callable[[], Page], interval_seconds: float) -> None:
    """Draw the page again and again until a key or a signal ends it; then leave all of it on the terminal."""
    page = look()
    with ExitStack() as stack:
        stack.enter_context(suppress(KeyboardInterrupt))
        stack.enter_context(_ended_by(signal.SIGTERM, signal.SIGHUP))
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
    """How many lines a key scrolls."""
    return _LINES_OF_KEY.get(key, _PAGES_OF_KEY.get(key, 0) * max(height // 2, 1))


@contextmanager
def _keys() -> Iterator[ReadKey | None]:
    """Yield how keys are read, None where standard input is no terminal."""
    if not sys.stdin.isatty():
        yield None
        return
    with keyboard(keeps_signals=True) as read_key:
        yield read_key


def _wait(read_key: ReadKey | None, seconds: float) -> str:
    """Return the key that is pressed within that time, "" for none."""
    if read_key is not None:
        return read_key(seconds)
    time.sleep(seconds)
    return ""


@contextmanager
def _ended_by(*numbers: signal.Signals) -> Iterator[None]:
    """Let these signals end the block as an exception does, so that the terminal is left as it was."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _has_unicode(console: Console) -> bool:
    # The fonts of a Linux console have few of the block characters.
    return console.encoding.startswith("utf") and os.environ.get("TERM") != "linux"


def look_at(run_dir: Path, curves: CurvesFile | None = None) -> RunView:
    """Read a run's folder. curves: of an earlier look. Raises UserError if there is no run in it."""
    status = read_status(run_dir)
    if status is None and any(os.path.lexists(run_dir / name) for name in _SIGNS_OF_A_RUN):
        status = {}
    if status is None:
        siblings = sorted(path.parent.name for path in run_dir.parent.glob("*/status.json"))
        others = f" Runs in {run_dir.parent}: {', '.join(siblings)}." if siblings else ""
        raise UserError(f"{run_dir} holds no run that ever started (no status.json).{others}")
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
    """Return whether a run lives, and a sentence; now: seconds since the epoch.

    On its own host by rank 0's process (its start time tells it from another one with that number), from elsewhere by
    the age of what it last said.
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
    """Look at the checkpoints on the disk, newest first, by their manifests and the files' sizes."""
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
    """Whether the very process that wrote the status still runs on this host."""
    try:
        process = psutil.Process(status["pid"])
        started = status.get("process_started", process.create_time())
        return (
            abs(process.create_time() - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        )
    except (psutil.Error, ValueError, OverflowError):  # numbers that no process can have, too
        return False


def _as_json(view: RunView) -> dict[str, Any]:
    return {
        "run_dir": str(view.run_dir),
        "health": view.health,
        "sentence": view.sentence,
        "status": view.status,
        "checkpoints": [vars(line) for line in view.checkpoints],
    }
