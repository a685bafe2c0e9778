"""The process of one training of an ablation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from ddpzero.bench.ablation.training import CellFailed, TrainingStopped, run_training

# Tells its process id and waits; SIGTERM ends it as it ends a training, with exit code 0.
PATIENT = (
    "import os, pathlib, signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
    "pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))\n"
    "time.sleep(60)\n"
)


def wait_for_pid(file: Path) -> int:
    deadline = time.monotonic() + 30
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(file.read_text())


def test_a_failure_is_told_by_the_sentence_of_the_training(tmp_path):
    code = "import sys; print('ddpzero: the disk is full.\\nother', file=sys.stderr); sys.exit(1)"
    with pytest.raises(CellFailed, match=r"^the disk is full\. \(exit code 1; all output: .*a.log"):
        run_training([sys.executable, "-c", code], tmp_path / "logs" / "a.log")


def test_a_signal_stops_the_training_and_the_old_handlers_come_back(tmp_path):
    file, before = tmp_path / "pid", signal.getsignal(signal.SIGTERM)

    def ask_to_stop() -> None:
        wait_for_pid(file)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=ask_to_stop).start()
    with pytest.raises(TrainingStopped):
        run_training([sys.executable, "-c", PATIENT, str(file)], tmp_path / "a.log")
    assert not psutil.pid_exists(int(file.read_text()))
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_killed_ablation_leaves_no_training_behind(tmp_path):
    file = tmp_path / "pid"
    code = (
        "import sys; from pathlib import Path\n"
        "from ddpzero.bench.ablation.training import run_training\n"
        f"run_training([sys.executable, '-c', {PATIENT!r}, {str(file)!r}], Path('/dev/null'))\n"
    )
    ablation = subprocess.Popen([sys.executable, "-c", code])
    pid = wait_for_pid(file)
    ablation.kill()
    ablation.wait()
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not psutil.pid_exists(pid)
