"""Measures everything on a GPU in under nine minutes; prints a table and writes a JSON file.

    bash launch/gpu_check.sh
    python -m ddpzero.bench.gpu_check --device cpu --quick        tests the program without a GPU

The table says of some figures whether they reach their bar. Each step (gpu_steps.py) runs in a separate process with a
time limit, so that a step that fails, hangs or lacks a package loses only its own results. Steps that need few packages
come first.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ddpzero.system.cores import cores_of_affinity
from ddpzero.system.json_text import json_text
from ddpzero.system.origin import commit
from ddpzero.system.parent import with_parent
from ddpzero.system.signals import exit_at_signals

_TIME_LIMIT_SECONDS = 525.0
# The end of the name of the figures of self-play.
FRACTION_OF_FORWARD = "best fraction of the bare forward"
# Packages of the learner's loop that a machine with torch and numba alone may lack.
_TRAINING_PACKAGES = ("psutil", "safetensors", "tensorboard", "yaml")


@dataclass(frozen=True)
class Step:
    """One step. seconds: its planned duration; quick_seconds: the same with --quick.

    packages: what it imports besides torch, numpy and numba.
    """

    name: str
    seconds: float
    quick_seconds: float
    packages: tuple[str, ...] = ()


STEPS = (
    Step("agreement", 20, 60),
    Step("tests", 60, 60, ("pytest", *_TRAINING_PACKAGES)),
    Step("forward", 30, 8),
    Step("graphs", 25, 4),
    Step("learner", 30, 8, ("yaml",)),
    Step("sharing", 15, 8, ("yaml",)),
    Step("self_play", 90, 60, ("yaml",)),
    Step("networks", 65, 30, ("yaml",)),
    Step("compile", 25, 60, ("pytest", *_TRAINING_PACKAGES)),
    Step("two_ranks", 45, 13, _TRAINING_PACKAGES),
    Step("training", 240, 13, _TRAINING_PACKAGES),
)
# The steps that run tests, and which. Compiling takes a minute.
_TESTS = {"tests": "gpu and not slow", "compile": "gpu and slow"}
# What a GPU should reach, by the end of a figure's name.
BARS = (
    (FRACTION_OF_FORWARD, 0.85),
    ("learner, fraction of the bare loop", 0.95),
)
# A step may exceed its planned duration by this much, because it starts processes and may have to compile.
_GRACE_SECONDS = 90.0
# For a step that is ended to remove its temporary folder.
_SECONDS_TO_END = 5.0


@dataclass(frozen=True)
class Row:
    """One line of the table. problem: why there is no value, or "". bar: what the value should reach on a GPU."""

    step: str
    figure: str
    value: float | None = None
    unit: str = ""
    note: str = ""
    problem: str = ""
    bar: float | None = None


def main() -> int:
    """Run the steps and print their results; return 0, or 1 if a step failed."""
    options = _options()
    with exit_at_signals():
        return run_steps(options)


def run_steps(options: argparse.Namespace) -> int:
    """Do so as the options say."""
    started = time.monotonic()
    machine = describe_machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    rows: list[Row] = []
    for step in STEPS:
        if options.steps and step.name not in options.steps:
            continue
        left = _TIME_LIMIT_SECONDS - (time.monotonic() - started)
        found = run_step(step, options.device, options.quick, left)
        rows += found
        for row in found:
            print(format_row(row), flush=True)
    seconds = time.monotonic() - started
    document = {"machine": machine, "device": options.device, "quick": options.quick}
    document |= {"seconds": round(seconds, 1), "rows": [asdict(row) for row in rows]}
    Path(options.out).write_text(json_text(document, indent=1) + "\n")
    print(f"{seconds:.0f} s in all; the same as JSON: {options.out}")
    return 1 if any(row.problem for row in rows) else 0


def run_step(step: Step, device: str, is_quick: bool, seconds_left: float) -> list[Row]:
    """Run one step in a separate process; return the results that it printed, even if it fails."""
    if missing := [name for name in step.packages if not _is_installed(name)]:
        return [Row(step.name, "not run", note=f"needs {', '.join(missing)}, not installed here")]
    seconds = min(step.quick_seconds if is_quick else step.seconds, seconds_left)
    if seconds < 0.5 * (step.quick_seconds if is_quick else step.seconds):
        return [Row(step.name, "not run", problem="no time left: earlier steps took too long")]
    if step.name in _TESTS:
        command = [sys.executable, "-m", "pytest", "-q", "-m", _TESTS[step.name]]
        command += ["-p", "no:cacheprovider"]
        command += ["tests/evaluators", "tests/algorithms", "tests/networks"]
    else:
        command = [sys.executable, "-m", "ddpzero.bench.gpu_steps", step.name]
        command += ["--device", device, "--seconds", f"{seconds:.0f}"]
        command += ["--quick"] if is_quick else []
    limit_seconds = min(seconds + _GRACE_SECONDS, max(seconds_left, 1.0))
    output, exit_code = _run(command, limit_seconds)
    if step.name in _TESTS:
        return [pytest_row(output, exit_code, step.name)]
    rows = []
    for line in output.splitlines():
        if line.startswith('{"step"'):
            rows.append(_with_bar(Row(**json.loads(line)), device))
    if exit_code is None:
        rows.append(Row(step.name, "failed", problem=f"not done after {limit_seconds:.0f} s"))
    elif exit_code != 0:
        rows.append(Row(step.name, "failed", problem=_last_line(output)))
    return rows


def pytest_row(output: str, exit_code: int | None, step: str = "tests") -> Row:
    """Return the last line of pytest's output as a row."""
    closing = _last_line(output)
    passed = re.search(r"(\d+) passed", closing)
    is_good = exit_code == 0 and passed is not None
    if exit_code == 0 and passed is None:
        return Row(step, "not run", note=closing)
    return Row(
        step,
        "passed",
        float(passed[1]) if passed else None,
        note=closing if is_good else "",
        problem="" if is_good else closing,
    )


def describe_machine() -> dict[str, str]:
    """Return names and versions of hardware and software, to compare tables of different machines."""
    import numba
    import torch

    machine = {
        "ddpzero": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numba": numba.__version__,
        "CUDA": str(torch.version.cuda),
        "cores": str(cores_of_affinity()),
    }
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        size = f"{properties.total_memory / 2**30:.0f} GiB"
        machine[f"GPU {index}"] = f"{properties.name} ({size})"
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        found = subprocess.run(query, capture_output=True, text=True)
        machine["driver"] = (found.stdout.splitlines() or ["unknown"])[0]
    return machine


def format_row(row: Row) -> str:
    """Return a row as one line of the table."""
    if row.problem:
        return f"{row.step:10}  {row.figure:58}  FAILED: {row.problem}"
    value = "" if row.value is None or row.figure == "not run" else _readable(row.value)
    note = row.note
    if row.bar is not None and row.value is not None:
        verdict = "reached" if row.value >= row.bar else "MISSED"
        note = f"bar {row.bar:g} {verdict}" + (f"; {note}" if note else "")
    return f"{row.step:10}  {row.figure:58}  {value:>10} {row.unit:14} {note}".rstrip()


def _with_bar(row: Row, device: str) -> Row:
    """Return the row with the bar of its figure, if there is one. There are none for a CPU."""
    bars = [bar for ending, bar in BARS if row.figure.endswith(ending)]
    return replace(row, bar=bars[0]) if bars and device == "cuda" else row


def _run(command: list[str], limit_seconds: float) -> tuple[str, int | None]:
    """Return a command's output and exit code. After limit_seconds, end all its processes; the exit code is None.

    They end with this program, too.
    """
    process = subprocess.Popen(
        with_parent(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit_seconds)
        return output, process.returncode
    except subprocess.TimeoutExpired:
        return _ended(process), None
    except BaseException:
        # Ctrl-C reaches only this program: a step has a session of its own.
        _ended(process)
        raise


def _ended(process: subprocess.Popen[str]) -> str:
    """End a command with all its processes, which may first remove their temporary folders; return its output."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        output, _ = process.communicate(timeout=_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    return output


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False


def _last_line(output: str) -> str:
    lines = [
        line for line in output.splitlines() if line.strip() and not line.startswith('{"step"')
    ]
    return lines[-1].strip() if lines else "it printed nothing"


def _readable(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="launch/gpu_check.sh", description="Measure this GPU.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: the logic, no figures")
    parser.add_argument("--steps", nargs="+", choices=[step.name for step in STEPS])
    parser.add_argument("--out", default="gpu_check.json", help="JSON file (gpu_check.json)")
    options = parser.parse_args()
    if options.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            parser.error("PyTorch sees no GPU here; --device cpu --quick tries the logic alone")
    return options


if __name__ == "__main__":
    sys.exit(main())
