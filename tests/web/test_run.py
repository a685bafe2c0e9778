"""Facts about `ddpzero web` as a process."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.places import REPO

# What is registered first is called last.
PROGRAM = """
import atexit, gc, sys
atexit.register(lambda: print("frozen" if gc.get_freeze_count() else "not frozen", flush=True))
from ddpzero.cli.commands import main
sys.exit(main(["web", sys.argv[1], "--port", "0"]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_right_after_the_address_ends_it_without_searching_for_garbage(
    tic_tac_toe, number
):
    program = [sys.executable, "-c", PROGRAM, str(tic_tac_toe)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=REPO) as process:
        assert process.stdout.readline().startswith("the page is at http://127.0.0.1:")
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "frozen\n")
