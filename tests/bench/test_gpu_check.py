"""The logic of launch/gpu_check.sh, on a CPU: steps that fail, hang or lack a package cost their own figures only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ddpzero.bench import gpu_check
from ddpzero.bench.gpu_check import Row, Step, format_row, pytest_row, run_step
from ddpzero.bench.gpu_config import make_settings, run_config
from ddpzero.bench.gpu_sampler import summarize_samples
from tests.places import REPO

# Put into a folder on PYTHONPATH: as if these packages were not installed.
BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
"""
BEYOND_TORCH_NUMBA_AND_YAML = (
    "hydra",
    "omegaconf",
    "psutil",
    "safetensors",
    "rich",
    "scipy",
    "tensorboard",
    "pytest",
)


def check(folder: Path, blocked: tuple[str, ...], *steps: str) -> dict[str, dict[str, Row]]:
    """Run the script without some packages; returns step -> figure -> row."""
    (folder / "sitecustomize.py").write_text(BLOCKER.format(blocked=blocked))
    out = folder / "check.json"
    result = subprocess.run(
        [
            *["bash", "launch/gpu_check.sh", "--device", "cpu", "--quick", "--out"],
            str(out),
            "--steps",
            *steps,
        ],
        cwd=REPO,
        env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    rows: dict[str, dict[str, Row]] = {}
    for row in (Row(**fields) for fields in json.loads(out.read_text())["rows"]):
        rows.setdefault(row.step, {})[row.figure] = row
        assert format_row(row) in result.stdout
    return rows


@pytest.mark.slow
def test_torch_numba_and_yaml_alone_measure_forward_learner_and_self_play(tmp_path):
    rows = check(
        tmp_path,
        BEYOND_TORCH_NUMBA_AND_YAML,
        "agreement",
        "forward",
        "graphs",
        "learner",
        "self_play",
        "networks",
        "training",
    )
    assert rows["agreement"]["largest difference of a probability, float32"].value < 1e-4
    assert rows["forward"]["quick, best"].value > 0
    assert 0 < rows["learner"]["learner, fraction of the bare loop"].value < 2
    of_graphs = rows["graphs"]
    for figure in ("bare forward", "1 under way, no graphs", "2 under way, graphs"):
        assert of_graphs[f"64x4 batch 64, {figure}"].value > 0
    of_self_play, of_networks = rows["self_play"], rows["networks"]
    for way in ("shared, 2 actors", "local, 2 actors"):
        assert of_self_play[f"connect_four 64x4, {way}"].value > 0
        assert of_self_play[f"connect_four 64x4, {way}, of the bare forward"].value > 0
    assert of_self_play["connect_four 64x4, best fraction of the bare forward"].value > 0
    assert of_networks["connect_four 128x10, shared, 1 actor"].value > 0
    # Bars are for GPUs.
    assert all(row.bar is None for of_step in rows.values() for row in of_step.values())
    assert "needs psutil, safetensors, tensorboard, not" in rows["training"]["not run"].note


@pytest.mark.slow
def test_training_is_measured_without_hydra_on_one_rank_and_on_two(tmp_path):
    rows = check(tmp_path, ("hydra", "omegaconf", "rich", "scipy"), "two_ranks", "training")
    for step in ("two_ranks", "training"):
        assert rows[step]["speed/updates_per_second"].value > 0
        assert rows[step]["speed/simulations_per_second"].value > 0
        assert rows[step]["rows of metrics"].value > 1


def run_instead(monkeypatch, program: str, **changes: float) -> list[Row]:
    """Run a step whose process is this Python program."""
    run = gpu_check._run
    monkeypatch.setattr(
        gpu_check, "_run", lambda command, limit: run([sys.executable, "-c", program], limit)
    )
    return run_step(Step("forward", 10, 10), "cpu", False, **{"seconds_left": 100.0, **changes})


FIGURE = '{"step": "forward", "figure": "rate", "value": 3.5, "unit": "1/s", "note": ""}'


def test_a_step_that_crashes_keeps_what_it_had_measured(monkeypatch):
    program = f"print('{FIGURE}'); raise RuntimeError('CUDA error: out of memory')"
    rows = run_instead(monkeypatch, program)
    assert rows[0] == Row("forward", "rate", 3.5, "1/s")
    assert rows[1].problem == "RuntimeError: CUDA error: out of memory"
    assert format_row(rows[1]).endswith("FAILED: RuntimeError: CUDA error: out of memory")


def test_a_step_that_hangs_is_ended_with_all_that_it_started(monkeypatch):
    child = "import subprocess, sys, time"
    program = (
        f"{child}; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f" print('{FIGURE}', flush=True); print(child.pid, flush=True); time.sleep(60)"
    )
    monkeypatch.setattr(gpu_check, "_GRACE_SECONDS", -8.0)
    rows = run_instead(monkeypatch, program)
    assert [row.figure for row in rows] == ["rate", "failed"]
    assert rows[1].problem == "not done after 2 s"


def test_a_figure_that_fails_leaves_the_others_of_its_step():
    import io
    from contextlib import redirect_stdout

    from ddpzero.bench.gpu_config import Emitter

    emit = Emitter("self_play")
    with redirect_stdout(io.StringIO()) as printed:
        emit.failed("shared, 8 actors", RuntimeError("CUDA error: out of memory\nmore lines"))
        emit("local, 8 actors", 5.0)
    failed, other = (Row(**json.loads(line)) for line in printed.getvalue().splitlines())
    assert failed.problem == "RuntimeError: CUDA error: out of memory" and failed.value is None
    assert other == Row("self_play", "local, 8 actors", 5.0)
    assert "FAILED: RuntimeError" in format_row(failed)


@pytest.mark.parametrize(
    ("figure", "value", "verdict"),
    [
        ("go 64x4, best fraction of the bare forward", 0.9, "bar 0.85 reached"),
        ("go 64x4, best fraction of the bare forward", 0.5, "bar 0.85 MISSED"),
        ("learner, fraction of the bare loop", 0.95, "bar 0.95 reached"),
        ("go 64x4, shared, 8 actors, of the bare forward", 0.5, ""),
    ],
)
def test_figures_with_a_bar_say_on_a_gpu_whether_it_is_reached(monkeypatch, figure, value, verdict):
    row = {"step": "self_play", "figure": figure, "value": value, "note": "GPU 85 % busy"}
    monkeypatch.setattr(gpu_check, "_run", lambda command, limit: (json.dumps(row), 0))
    for device, expected in (("cuda", verdict), ("cpu", "")):
        (found,) = run_step(Step("self_play", 10, 10), device, False, seconds_left=100.0)
        text = format_row(found)
        assert expected in text and ("bar 0." in text) == bool(expected)
        assert text.endswith("GPU 85 % busy")


def test_a_step_without_time_is_said_to_have_none():
    (row,) = run_step(Step("training", 240, 20), "cpu", False, seconds_left=100.0)
    assert row.problem.startswith("no time left")


def test_all_steps_fit_into_nine_minutes():
    assert gpu_check._TIME_LIMIT_SECONDS < 9 * 60
    planned = sum(step.seconds for step in gpu_check.STEPS if step.name != "training")
    assert planned + 0.5 * 240 <= gpu_check._TIME_LIMIT_SECONDS


@pytest.mark.parametrize(
    ("output", "exit_code", "expected"),
    [
        ("....\n10 passed, 320 deselected in 9.81s\n", 0, (10.0, "")),
        ("10 skipped, 320 deselected in 1.8s\n", 0, (None, "")),
        ("FAILED x\n1 failed, 9 passed in 3s\n", 1, (9.0, "1 failed, 9 passed in 3s")),
        ("half a line", None, (None, "half a line")),
    ],
)
def test_the_closing_line_of_pytest_becomes_a_row(output, exit_code, expected):
    row = pytest_row(output, exit_code)
    assert (row.value, row.problem) == expected


def test_samples_of_nvidia_smi_are_means_over_the_second_half():
    lines = ["0, 500, 60.0", "10, 600, 70.0", "80, 2048, 300.5", "90, 1024, 310.5"]
    assert summarize_samples("\n".join(lines)) == "GPU 85 % busy, 2.0 GiB, 306 W"
    assert summarize_samples("50, 1024, [N/A]\n70, 1024, [N/A]") == "GPU 70 % busy, 1.0 GiB"
    assert summarize_samples("") == ""
    assert summarize_samples("NVIDIA-SMI has failed because it could not talk to the driver") == ""


@pytest.mark.parametrize("is_quick", [False, True])
def test_the_measured_training_is_a_valid_config(is_quick):
    settings = make_settings(run_config("cpu", is_quick))
    assert settings.game.name == "connect_four"


def test_a_missing_program_nvidia_smi_costs_its_samples_only(monkeypatch, tmp_path):
    from ddpzero.bench.gpu_sampler import GpuSampler

    monkeypatch.setenv("PATH", str(tmp_path))
    with GpuSampler() as sampler:
        pass
    assert sampler.summary() == ""
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\necho "40, 1024, 100"\nexec /bin/sleep 30\n')
    program.chmod(0o755)
    with GpuSampler() as sampler:
        time.sleep(0.5)
    assert sampler.summary() == "GPU 40 % busy, 1.0 GiB, 100 W"
