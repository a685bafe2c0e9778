"""Programs that answer as those of `ddpzero bench peers` do, or fail to."""

from __future__ import annotations

import sys
from pathlib import Path

from ddpzero.bench.peers import programs

PROGRAMS = Path(programs.__file__).parent

_START = f"""
import os, sys, time
sys.path.insert(0, {str(PROGRAMS)!r})
from protocol import Prepared, Problem, Variant, serve
"""

# Counts `steps` per run of a millisecond.
_COUNTS = """
def run():
    until = time.process_time() + 0.001
    while time.process_time() < until:
        pass
    return {"steps": %d}

def prepare(request):
    print("a library says hello")
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return Prepared({"fake": "1.5"}, {"best": Variant(run, {"batch_size": 7, "core_ids": cores})})

serve({"rules": prepare})
"""

BODIES = {
    "refuses": "def prepare(request):\n    raise Problem('it knows no such game')\nserve({'rules': prepare})",
    "has no such workload": "serve({})",
    "dies at once": "raise SystemExit('no module named jax')",
    "dies when measured": """
def run():
    os._exit(3)
serve({"rules": lambda request: Prepared({}, {"best": Variant(run, {})})})
""",
    "is killed": "os.kill(os.getpid(), 9)",
    "hangs": "time.sleep(600)",
    "hangs when measured": """
def run():
    time.sleep(600)
serve({"rules": lambda request: Prepared({}, {"best": Variant(run, {})})})
""",
    "talks nonsense": "print('nonsense', flush=True); time.sleep(600)",
}


def counting_program(folder: Path, name: str, steps: int) -> list[str]:
    """Return the command of a program that does `steps` per millisecond of CPU time."""
    return _command(folder, name, _COUNTS % steps)


def failing_program(folder: Path, name: str) -> list[str]:
    """Return the command of one of the programs of BODIES."""
    return _command(folder, name, BODIES[name])


def _command(folder: Path, name: str, body: str) -> list[str]:
    file = folder / f"{name.replace(' ', '_')}.py"
    file.write_text(_START + body)
    return [sys.executable, "-E", "-s", str(file)]
