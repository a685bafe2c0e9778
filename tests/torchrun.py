"""Runs a small program under torchrun with gloo ranks, for the tests in which ranks matter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.places import REPO

# Every program begins with this: `say` is how it answers the test.
PRELUDE = """
import json, os, sys, time
from pathlib import Path
from ddpzero.system.parent import die_with_parent
# A test that ends its torchrun, because it takes too long, leaves no ranks at work.
die_with_parent()
folder = Path(sys.argv[1])
def say(**answer):
    path = folder / f"answer-rank{os.environ['RANK']}.json"
    path.write_text(json.dumps(answer))
"""


def torchrun_command(program: Path, folder: Path, num_ranks: int = 2) -> list[str]:
    """Return the command that runs a program with so many ranks on this machine."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*launcher, f"--nproc_per_node={num_ranks}", str(program), str(folder)]


def write_program(folder: Path, text: str) -> Path:
    """Keep a program's text, with `folder` and `say` in it."""
    path = folder / "program.py"
    path.write_text(PRELUDE + text)
    return path


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}


def run_ranks(
    folder: Path, text: str, num_ranks: int = 2, timeout_seconds: float = 60
) -> list[dict[str, Any]]:
    """Run a program; returns what each rank said. A rank that fails fails the test, with its output."""
    program = write_program(folder, text)
    command = torchrun_command(program, folder, num_ranks)
    done = subprocess.run(
        command,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [
        json.loads((folder / f"answer-rank{rank}.json").read_text()) for rank in range(num_ranks)
    ]
