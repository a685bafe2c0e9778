"""Sweeps: --multirun with Hydra's own launcher and sweeper, and with joblib, Optuna and Submitit."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ddpzero.actors import default_num_actors
from ddpzero.config.hydra import compose_settings
from ddpzero.config.overrides import arrange_words
from ddpzero.run.record import METRICS_FILE, STATUS_FILE
from ddpzero.sweep import check_ranks, check_run_names, explain_launcher_error
from ddpzero.system.errors import UserError
from ddpzero.training.objective import check_objective, read_objective, share_cores

TINY = (
    "game=tic_tac_toe",
    "device=cpu",
    "network.blocks=1",
    "network.channels=16",
    "search.num_simulations=8",
    "actors.num_actors=1",
    "actors.num_games=8",
    "actors.precision=float32",
    "replay.capacity=4000",
    "replay.min_samples=200",
    "learner.batch_size=32",
    "learner.precision=float32",
    "learner.steps_per_epoch=20",
)


# -------------------------------------------------------------- the objective


def write_rows(run_dir: Path, rows: Sequence[tuple[int, dict[str, float | None]]]) -> None:
    run_dir.mkdir(exist_ok=True)
    lines = [json.dumps({"learner_step": step, "time": 1.0, **row}) + "\n" for step, row in rows]
    (run_dir / METRICS_FILE).write_text("".join(lines))


def test_the_objective_is_the_mean_over_the_last_tenth_of_the_updates(tmp_path: Path) -> None:
    write_rows(tmp_path, [(500, {"losses/total": 9.0}), (900, {"losses/total": 8.0})])
    assert read_objective(tmp_path, "losses/total") == 8.0
    rows = [
        (900, {"losses/total": 8.0}),
        (950, {"losses/total": 4.0}),
        (1000, {"losses/total": 2.0}),
    ]
    write_rows(tmp_path, rows)
    assert read_objective(tmp_path, "losses/total") == 3.0


def test_a_last_row_of_a_moment_counts_by_its_updates(tmp_path: Path) -> None:
    write_rows(tmp_path, [(900, {}), (999, {"losses/total": 1.0}), (1000, {"losses/total": 101.0})])
    assert read_objective(tmp_path, "losses/total") == pytest.approx(2.0)


def test_a_metric_that_is_rarely_measured_is_taken_from_its_last_row(tmp_path: Path) -> None:
    write_rows(tmp_path, [(100, {"match/wins": 0.25}), (500, {"match/wins": 0.75}), (1000, {})])
    assert read_objective(tmp_path, "match/wins") == 0.75


def test_a_run_without_updates_is_judged_by_its_last_row(tmp_path: Path) -> None:
    write_rows(tmp_path, [(0, {"time/other": 0.2}), (0, {"time/other": 0.4})])
    assert read_objective(tmp_path, "time/other") == 0.4


def test_an_objective_that_was_not_finite_at_the_end_is_nan(tmp_path: Path) -> None:
    write_rows(tmp_path, [(10, {"losses/total": 1.0}), (1000, {"losses/total": None})])
    assert math.isnan(read_objective(tmp_path, "losses/total"))


def test_a_counter_is_an_objective_too(tmp_path: Path) -> None:
    (tmp_path / STATUS_FILE).write_text(json.dumps({"counters": {"episodes": 81}}))
    assert read_objective(tmp_path, "episodes") == 81.0


def test_an_unknown_metric_is_refused_with_the_list(tmp_path: Path) -> None:
    write_rows(tmp_path, [(10, {"losses/total": 1.0, "policy/entropy": 1.0})])
    with pytest.raises(
        UserError,
        match=r"losses/totl is not a metric of .*Did you mean losses/total\? Its metrics are losses/total, "
        "policy/entropy; the counters are learner_step, ",
    ):
        read_objective(tmp_path, "losses/totl")


def test_an_unknown_counter_is_refused_before_anything_starts() -> None:
    with pytest.raises(
        UserError, match=r"sweep.objective=loss is not a counter of a run: the counters are "
    ):
        check_objective("loss")
    check_objective("losses/any_of_a_plugin")
    check_objective("samples_trained")
    check_objective(None)


# --------------------------------------------------------------------- checks


def test_a_multirun_on_several_ranks_is_refused_with_what_to_do() -> None:
    with pytest.raises(
        UserError, match=r"torchrun has started 8: start torchrun once for each job"
    ):
        check_ranks(8)
    check_ranks(1)


def test_a_multirun_needs_a_run_name_for_each_job() -> None:
    with pytest.raises(UserError, match=r"another run_name for each job"):
        check_run_names(["seed=1,2", "run_name=same"])
    check_run_names(["seed=1,2", "run_name=s${seed}"])
    check_run_names(["run_name=a,b"])


def test_a_sweep_of_absurdly_many_jobs_is_refused_before_they_are_written_down() -> None:
    words = ["--multirun", "seed=range(1,1000000000)", "search=gumbel,puct"]
    with pytest.raises(
        UserError, match=r"--multirun would train 1,999,999,998 jobs: at most 10,000"
    ):
        arrange_words(words)
    assert arrange_words([*words, "hydra/sweeper=optuna"])
    assert arrange_words(["--multirun", "seed=range(1,100)", "search=gumbel,puct"])


def test_jobs_that_run_at_once_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddpzero.system.cores.usable_cores", lambda: 16)
    settings = compose_settings(["+experiment=tic_tac_toe", "actors.num_actors=null"])
    assert share_cores(settings, 1) is settings
    assert share_cores(settings, 4).actors.num_actors == default_num_actors(4) == 3
    chosen = replace(settings, actors=replace(settings.actors, num_actors=7))
    assert share_cores(chosen, 4) is chosen


def test_processes_are_spawned_whatever_start_method_the_program_has() -> None:
    """joblib's is its own, which a new process does not know."""
    code = (
        "import multiprocessing as m; from ddpzero.actors.environment import actor_environment\n"
        "m.set_start_method('fork')\n"
        "with actor_environment(1): print(m.get_start_method())\n"
        "print(m.get_start_method())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["spawn", "fork"]


# ----------------------------------------------------------------- whole sweeps


def sweep(runs_dir: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        sweep_command(runs_dir, *overrides),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def sweep_command(runs_dir: Path, *overrides: str) -> list[str]:
    program = [sys.executable, "-m", "ddpzero.main", "--multirun"]
    return [*program, *TINY, f"runs_dir={runs_dir}", *overrides]


def status(run_dir: Path) -> str:
    return json.loads((run_dir / STATUS_FILE).read_text())["state"]


def test_a_sweeper_that_needs_an_objective_is_told_so_before_anything_starts(
    tmp_path: Path,
) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    done = sweep(tmp_path / "runs", "hydra/sweeper=optuna", "seed=1,2", "run_name=s${seed}")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "ddpzero: sweep.objective=null: OptunaSweeper chooses the next jobs"
    )
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "submitit_local"])
def test_a_job_that_fails_is_told_and_the_others_go_on(tmp_path: Path, launcher: str) -> None:
    if launcher == "submitit_local":
        pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    done = sweep(
        tmp_path,
        f"hydra/launcher={launcher}",
        "learner.batch_size=5000,32",
        "run_name=rows${learner.batch_size}",
        "learner.max_epochs=1",
        "sweep.objective=losses/total",
    )
    sentence = "rows5000: learner.batch_size=5000 is above replay.capacity=4000: raise capacity."
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == f"ddpzero: a job of the sweep failed: {sentence}"
    assert "Traceback" not in done.stderr
    assert "Error executing job" not in done.stderr
    assert not (tmp_path / "rows5000").exists()
    assert status(tmp_path / "rows32") == "finished"


@pytest.mark.slow
def test_optuna_is_given_the_objectives_of_jobs_that_joblib_runs(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    done = sweep(
        tmp_path,
        *("hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2"),
        *("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
        "learner.learning_rate=tag(log,interval(0.0001,0.01))",
        "run_name=rate${learner.learning_rate}",
        "learner.max_epochs=2",
        "sweep.objective=losses/total",
    )
    assert done.returncode == 0, done.stderr
    runs = sorted(path.parent for path in tmp_path.glob(f"*/{STATUS_FILE}"))
    assert [status(run) for run in runs] == ["finished", "finished"]
    objectives = {run.name: read_objective(run, "losses/total") for run in runs}
    best = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert best["best_value"] == min(objectives.values())
    best_run = min(objectives, key=lambda name: objectives[name])
    assert best_run == f"rate{best['best_params']['learner.learning_rate']}"
    assert f"best losses/total = {best['best_value']:.6g}" in done.stderr


@pytest.mark.slow
def test_a_signal_to_the_launcher_stops_and_saves_jobs_in_other_processes(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    overrides = [
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "seed=1,2,3",
        "run_name=s${seed}",
    ]
    process = subprocess.Popen(
        sweep_command(tmp_path, *overrides),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for_checkpoints(tmp_path, 2)
        process.terminate()
        _, console = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 1
    assert console.splitlines()[-1].endswith("(SIGTERM); the same command continues it.")
    runs = sorted(path.parent for path in tmp_path.glob(f"*/{STATUS_FILE}"))
    assert [status(run) for run in runs] == ["stopped", "stopped"], "the third has not begun"


def wait_for_checkpoints(runs_dir: Path, num_runs: int) -> None:
    deadline = time.monotonic() + 200
    while len({path.parent for path in runs_dir.glob("*/checkpoints/*/manifest.json")}) < num_runs:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


def test_a_lost_process_of_a_launcher_is_one_sentence() -> None:
    loky = pytest.importorskip("joblib.externals.loky.process_executor")
    sentence = explain_launcher_error(loky.TerminatedWorkerError("A worker was killed.\n\nMore."))
    assert sentence == (
        "a process of the launcher joblib was lost, and with it the jobs that had not ended: A worker was killed. The "
        "same command continues from their checkpoints."
    )
    assert explain_launcher_error(RuntimeError("of ours")) is None
