"""Facts about temporary folders: signals that end a program leave none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ddpzero.system.signals import exit_at_signals
from ddpzero.system.temporary_folder import temporary_folder
from tests.places import REPO

_PROGRAM = """
import signal, sys, time
from ddpzero.system.temporary_folder import temporary_folder
# The tests themselves may run under nohup.
signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[1] == "nohup" else signal.SIG_DFL)
with temporary_folder("mine-") as folder:
    (folder / "file").write_text("x")
    print("ready", flush=True)
    sys.stdin.readline()
print("done", flush=True)
"""


def started(tmp_path: Path, how: str = "") -> subprocess.Popen[str]:
    """Start a program that waits for a line within the block."""
    own = {**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=own,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    assert [path.name[:5] for path in tmp_path.iterdir()] == ["mine-"]
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_program_and_leaves_no_folder(number, tmp_path):
    with started(tmp_path) as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert output == "" and process.returncode not in (0, None)
    assert list(tmp_path.iterdir()) == []


def test_a_program_under_nohup_survives_its_terminal(tmp_path):
    with started(tmp_path, "nohup") as process:
        process.send_signal(signal.SIGHUP)
        output, _ = process.communicate("go on\n", timeout=60)
    assert output == "done\n" and process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_handlers_are_those_of_before_after_the_block():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    with pytest.raises(SystemExit) as raised, exit_at_signals():
        signal.raise_signal(signal.SIGTERM)
    assert raised.value.code == 128 + signal.SIGTERM
    with temporary_folder("mine-") as folder:
        assert folder.is_dir()
    assert not folder.exists()
    assert {number: signal.getsignal(number) for number in before} == before
