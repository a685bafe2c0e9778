"""The entry point: what a user sees of a mistake, and what actors must not pay for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run_main(*arguments: str, num_ranks: int = 0, cwd: Path) -> subprocess.CompletedProcess[str]:
    """num_ranks 0: without torchrun."""
    start = [sys.executable, "-m"]
    if num_ranks:
        start += ["torch.distributed.run", "--standalone", f"--nproc_per_node={num_ranks}", "-m"]
    return subprocess.run(
        [*start, "ddpzero.main", *arguments],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("module", ["ddpzero.main", "ddpzero.cli"])
def test_spawned_processes_import_the_main_module_cheaply(module):
    heavy = ("hydra", "omegaconf", "torch", "numba", "numpy", "rich", "yaml")
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_folder_that_hydra_cannot_make_is_one_sentence(tmp_path):
    done = run_main("hydra.run.dir=/dev/null/x", cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("ddpzero: /dev/null/x: Not a directory. Folders that Hydra is given")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--cfg", "job", "--multirun"], "Only one of --run, --multirun, --cfg"),
        (["--shell-completion"], "Expecting one subcommand from"),
        (["seed"], "seed: there is no = in it. Write key=value"),
    ],
)
def test_what_hydra_refuses_by_itself_is_one_sentence(arguments, sentence, tmp_path):
    done = run_main(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"ddpzero: {sentence}")


def test_an_objective_without_a_sweep_is_told(tmp_path):
    done = run_main("sweep.objective=episodes", "init_from=nowhere", cwd=tmp_path)
    first, second = done.stderr.splitlines()
    assert first == "ddpzero: sweep.objective=episodes has no effect without --multirun."
    assert second.startswith("ddpzero: init_from=nowhere")


def test_a_sweep_whose_jobs_fail_prints_sentences_of_ours_only(tmp_path):
    done = run_main("--multirun", "run_name=a,b", "learner.batch_size=0", cwd=tmp_path)
    assert done.returncode == 2
    sentence = "learner.batch_size=0 must be at least 1."
    assert done.stderr.splitlines() == [
        f"ddpzero: a: {sentence}",
        f"ddpzero: b: {sentence}",
        f"ddpzero: a job of the sweep failed: a: {sentence}",
    ]


def test_options_between_settings_are_taken(tmp_path):
    arguments = ("seed=7", "--config-dir", str(tmp_path), "run_name=x", "--cfg", "job")
    done = run_main(*arguments, cwd=tmp_path)
    assert done.returncode == 0
    assert "\nrun_name: x\n" in done.stdout and "\nseed: 7\n" in done.stdout


def test_checking_a_config_does_not_import_torch():
    code = (
        "import sys; from ddpzero.config.hydra import compose_settings; compose_settings(['+experiment=quick']); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("learner.bach_size=64", "learner.bach_size=64 is not a setting. Did you mean learner.batch_size?"),
        ("game=chess", "game=chess does not exist."),
        ("learner.batch_size=0", "learner.batch_size=0 must be at least 1."),
    ],
    ids=["unknown to hydra", "no such option", "refused by us"],
)  # fmt: skip
def test_a_mistake_is_one_sentence_without_traceback_and_exit_code_2(argument, sentence, tmp_path):
    done = run_main(argument, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"ddpzero: {sentence}")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [], "nothing has been started or written"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["init_from=nope"], "init_from=nope: neither nope nor runs/nope is the folder of a run"),
        (["replay.capacity=1000000000000"], "replay.capacity=1000000000000 needs "),
        (["actors.num_actors=1000000000"], "actors.num_actors=1000000000 "),
        pytest.param(
            ["actors.device=cuda"],
            "actors.device=cuda: PyTorch sees no GPU here",
            marks=pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="there is a GPU"),
        ),
        pytest.param(
            ["learner.precision=float16"],
            "learner.precision=float16 is slow on a CPU",
            marks=pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="there is a GPU"),
        ),
    ],
)
def test_what_this_machine_cannot_do_is_refused_before_anything_is_created(
    arguments, sentence, tmp_path
):
    done = run_main("+experiment=tic_tac_toe", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"ddpzero: {sentence}")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_several_ranks_tell_a_mistake_once(tmp_path):
    done = run_main("learner.batch_size=0", num_ranks=2, cwd=tmp_path)
    assert done.returncode != 0
    assert done.stderr.count("ddpzero: learner.batch_size=0 must be at least 1.") == 1
    assert "exitcode  : 2" in done.stderr


def test_a_setting_with_dashes_is_told_how_to_write_it(tmp_path):
    done = run_main("--experiment=quick", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "a setting has no dashes: experiment=quick or +experiment=quick" in done.stderr


def test_the_config_can_be_printed_without_training(tmp_path):
    done = run_main("+experiment=quick", "--cfg", "job", cwd=tmp_path)
    assert done.returncode == 0
    assert "run_name: quick" in done.stdout
    assert list(tmp_path.iterdir()) == []
