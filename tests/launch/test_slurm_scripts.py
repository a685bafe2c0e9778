"""The SLURM scripts, without SLURM: their headers, and a job's life with stand-ins for SLURM's commands and Python."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.places import REPO

LAUNCH = REPO / "launch"
SBATCH_FILES = [LAUNCH / "slurm_one_node.sbatch", LAUNCH / "slurm_many_nodes.sbatch"]
SCRIPTS = [*SBATCH_FILES, LAUNCH / "slurm_lib.sh", LAUNCH / "slurm_node.sh"]
TIMEOUT_SECONDS = 30.0

# Each stand-in appends its call to $FAKE/calls. The node runs here; torchrun trains until $FAKE/done or a SIGTERM.
# scontrol naps before its last line: a reader that has left by then breaks its pipe.
STAND_INS = {
    "bin/scontrol": """
case "$*" in
    "show hostnames node[1-2]") echo node1; sleep 0.05; echo node2 ;;
    "show node "*) echo "   NodeAddr=10.0.0.${3#node} NodeHostName=$3 Version=22.05" ;;
    "show job 4711") echo "   PreemptTime=${FAKE_PREEMPT_TIME:-None}"; sleep 0.05; echo "   Power=" ;;
    "requeue 4711") ;;
    *) exit 1 ;;
esac
""",
    "bin/scancel": """
[ "$*" = "--signal=TERM 4711" ] && kill -TERM "$(cat "$FAKE/torchrun.pid")"
""",
    "bin/srun": """
while [[ $1 == --* ]]; do shift; done
export SLURMD_NODENAME=${FAKE_NODE:-node1} SLURM_NODEID=$((${FAKE_NODE_NUMBER:-1} - 1))
exec "$@"
""",
    ".venv/bin/python": """
case "$*" in
    "-c import ddpzero") ;;
    *--help) echo "  --signals-to-handle SIGNALS" ;;
    *--cfg*) [[ "$*" != *=bad* ]] && echo "{runs_dir: $FAKE/runs, run_name: a run}" ;;
    -c*) exec "$REAL_PYTHON" "$@" ;;
    "-m torch.distributed.run "*)
        mkdir -p "$FAKE/runs/a run"
        env >"$FAKE/environment"
        trap 'echo TERM >"$FAKE/runs/a run/resume_me"; exit 1' TERM
        echo $$ >"$FAKE/torchrun.pid"
        while [ ! -e "$FAKE/done" ]; do sleep 0.05; done
        exit "$(cat "$FAKE/done")"
        ;;
esac
""",
}


@dataclass
class Job:
    """A batch script at work. folder: what its stand-ins write to."""

    process: subprocess.Popen[str]
    folder: Path

    def wait_until_it_trains(self) -> None:
        self._wait_for(self.folder / "torchrun.pid")

    def finish(self, exit_code: int = 0) -> None:
        """Let torchrun end by itself."""
        partial = self.folder / "partial"
        partial.write_text(f"{exit_code}\n")
        partial.rename(self.folder / "done")

    def end(self) -> tuple[int, str]:
        """Wait for the end; returns exit code and output."""
        output, _ = self.process.communicate(timeout=TIMEOUT_SECONDS)
        return self.process.returncode, output

    @property
    def mark(self) -> Path:
        return self.folder / "runs/a run/resume_me"

    def calls(self, command: str) -> list[str]:
        """The arguments of each call of a command."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [line.removeprefix(f"{command} ") for line in lines if line.split()[0] == command]

    def was_requeued(self) -> bool:
        return "requeue 4711" in self.calls("scontrol")

    def torchrun(self) -> list[str]:
        """The arguments of torchrun."""
        (call,) = (
            c for c in self.calls("python") if re.match(r"-m torch.distributed.run (?!--help)", c)
        )
        return call.split()[2:]

    def environment(self) -> dict[str, str]:
        """What torchrun found in its environment."""
        lines = (self.folder / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def _wait_for(self, path: Path) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not (path.exists() and path.read_text()):
            assert time.monotonic() < deadline and self.process.poll() is None, self.end()
            time.sleep(0.02)


class Cluster:
    """Starts batch scripts in a folder that looks like the repository, with stand-ins for SLURM and Python."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.jobs: list[Job] = []
        for name, text in STAND_INS.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            log = (
                'echo "${0##*/} $(printf "%s " "$@" | tr "\\n" " " | sed "s/ $//")" >>"$FAKE/calls"'
            )
            path.write_text(f"#!/usr/bin/env bash\n{log}\n{text}")
            path.chmod(0o755)
        (folder / "launch").symlink_to(LAUNCH)

    def submit(self, *overrides: str, script: str = "many_nodes", **environment: str) -> Job:
        """Start a job with these overrides of the config and additions to its environment."""
        slurm = {
            "SLURM_JOB_ID": "4711",
            "SLURM_SUBMIT_DIR": str(self.folder),
            "SLURM_JOB_NODELIST": "node[1-2]",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "96",
            "SLURM_CPUS_ON_NODE": "96",
            "SLURM_GPUS_ON_NODE": "8",
        }
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "FAKE": str(self.folder), "REAL_PYTHON": sys.executable}
        script_path = LAUNCH / f"slurm_{script}.sbatch"
        process = subprocess.Popen(
            ["bash", str(script_path), *overrides],
            env=own | slurm | environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.jobs.append(Job(process, self.folder))
        return self.jobs[-1]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    for job in made.jobs:
        if job.process.poll() is None:
            job.finish()
            job.end()


def options_of(script: Path) -> dict[str, str]:
    """The #SBATCH lines of a script that SLURM reads: those before its first command."""
    options = {}
    for line in script.read_text().splitlines():
        if line and not line.startswith("#"):
            break
        if match := re.match(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line):
            options[match[1]] = match[2] or ""
    return options


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_bash_can_read_the_script(script: Path) -> None:
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


@pytest.mark.parametrize("script", SBATCH_FILES, ids=lambda path: path.name)
def test_no_option_of_the_header_is_lost_behind_a_command(script: Path) -> None:
    assert len(options_of(script)) == script.read_text().count("\n#SBATCH ")


@pytest.mark.parametrize("script", SBATCH_FILES, ids=lambda path: path.name)
def test_a_node_has_one_task_and_may_be_requeued(script: Path) -> None:
    options = options_of(script)
    assert options["ntasks-per-node"] == "1"
    assert "requeue" in options
    assert options["open-mode"] == "append"


@pytest.mark.parametrize("script", SBATCH_FILES, ids=lambda path: path.name)
def test_the_batch_shell_hears_of_the_time_limit_before_the_last_checkpoint_must_end(
    script: Path, cluster: Cluster
) -> None:
    match = re.fullmatch(r"B:USR1@(\d+)", options_of(script)["signal"])
    assert match
    job = cluster.submit()
    job.wait_until_it_trains()
    assert int(job.environment()["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"]) < int(match[1])


def test_the_two_headers_differ_in_the_number_of_nodes_only() -> None:
    one, many = (options_of(script) for script in SBATCH_FILES)
    assert (one.pop("nodes"), many.pop("nodes")) == ("1", "2")
    assert one == many


@pytest.mark.parametrize("script", ["one_node", "many_nodes"])
def test_a_finished_run_is_not_requeued(cluster: Cluster, script: str) -> None:
    job = cluster.submit(script=script)
    job.finish()
    code, output = job.end()
    assert code == 0, output
    assert not job.was_requeued()


def test_a_failed_run_is_not_requeued_and_the_job_fails(cluster: Cluster) -> None:
    job = cluster.submit()
    job.finish(exit_code=1)
    code, _ = job.end()
    assert code == 1
    assert not job.was_requeued()


def test_a_run_that_was_stopped_and_saved_is_requeued(cluster: Cluster) -> None:
    job = cluster.submit()
    job.wait_until_it_trains()
    os.kill(
        int((cluster.folder / "torchrun.pid").read_text()), signal.SIGTERM
    )  # to the steps, as a preemption
    job.end()
    assert job.mark.exists()
    assert job.was_requeued()


def test_the_exit_code_does_not_decide_whether_to_requeue(cluster: Cluster) -> None:
    job = cluster.submit()
    job.wait_until_it_trains()
    job.mark.touch()
    job.finish(exit_code=0)
    job.end()
    assert job.was_requeued()


def test_a_preempted_run_that_could_not_save_is_requeued(cluster: Cluster) -> None:
    job = cluster.submit(FAKE_PREEMPT_TIME="2026-11-21T06:32:01")
    job.finish(exit_code=1)
    job.end()
    assert job.was_requeued()


def test_a_mark_of_an_earlier_start_does_not_requeue(cluster: Cluster) -> None:
    mark = cluster.folder / "runs/a run/resume_me"
    mark.parent.mkdir(parents=True)
    mark.touch()
    job = cluster.submit()
    job.finish(exit_code=1)
    job.end()
    assert not job.was_requeued()


def test_usr1_becomes_term_for_the_steps_and_the_shell_waits_for_them(cluster: Cluster) -> None:
    job = cluster.submit()
    job.wait_until_it_trains()
    job.process.send_signal(signal.SIGUSR1)
    job.end()
    assert job.calls("scancel") == ["--signal=TERM 4711"]
    assert job.mark.exists()  # written before the shell left
    assert job.was_requeued()


def test_sigterm_to_the_batch_shell_ends_the_job_for_good(cluster: Cluster) -> None:
    job = cluster.submit()
    job.wait_until_it_trains()
    job.process.send_signal(signal.SIGTERM)  # as scancel without --signal
    job.process.wait(TIMEOUT_SECONDS)
    job.finish()  # the step, which SLURM would end
    assert not job.was_requeued()


def test_a_mistake_in_the_overrides_ends_the_job_before_any_node_starts(cluster: Cluster) -> None:
    job = cluster.submit("game=bad")
    code, _ = job.end()
    assert code == 2
    assert not job.calls("srun")


def test_overrides_reach_the_training_unchanged(cluster: Cluster) -> None:
    job = cluster.submit("+experiment=gomoku", "run_name=b", "game.size=9")
    job.wait_until_it_trains()
    assert job.torchrun()[-5:] == [
        "-m",
        "ddpzero.main",
        "+experiment=gomoku",
        "run_name=b",
        "game.size=9",
    ]


def test_a_node_leaves_without_taking_the_others_along(cluster: Cluster) -> None:
    job = cluster.submit()
    job.wait_until_it_trains()
    (call,) = job.calls("srun")
    assert "--kill-on-bad-exit=0" in call
    assert re.search(r"--wait=[1-9]", call)


def test_nodes_meet_by_address_and_by_the_number_of_this_start(cluster: Cluster) -> None:
    job = cluster.submit(SLURM_RESTART_COUNT="3", FAKE_NODE="node2", FAKE_NODE_NUMBER="2")
    job.wait_until_it_trains()
    options = set(job.torchrun())
    assert "--rdzv-endpoint=10.0.0.1:24711" in options
    assert "--local-addr=10.0.0.2" in options
    assert "--rdzv-id=4711.3" in options
    assert "--rdzv-conf=is_host=0" in options
    assert "--nnodes=2" in options


def test_the_first_node_hosts_the_meeting(cluster: Cluster) -> None:
    job = cluster.submit()
    job.wait_until_it_trains()
    assert "--rdzv-conf=is_host=1" in job.torchrun()


def test_a_node_has_one_rank_per_gpu_unless_told_otherwise(cluster: Cluster) -> None:
    job = cluster.submit()
    job.wait_until_it_trains()
    assert "--nproc-per-node=8" in job.torchrun()


def test_ranks_on_cpus_are_counted_by_the_user(cluster: Cluster) -> None:
    job = cluster.submit(NPROC_PER_NODE="2", SLURM_GPUS_ON_NODE="")
    job.wait_until_it_trains()
    assert "--nproc-per-node=2" in job.torchrun()


def test_a_node_without_gpus_says_what_to_do(cluster: Cluster) -> None:
    job = cluster.submit(SLURM_GPUS_ON_NODE="")
    code, output = job.end()
    assert code == 2
    assert "NPROC_PER_NODE" in output and "device=cpu" in output


def test_torchrun_is_srun_s_own_child_and_hears_every_signal(cluster: Cluster) -> None:
    job = cluster.submit()
    job.wait_until_it_trains()
    torchrun = int((cluster.folder / "torchrun.pid").read_text())
    parent = int(Path(f"/proc/{torchrun}/stat").read_text().rsplit(")", 1)[1].split()[1])
    assert (
        parent == job.process.pid
    )  # srun's stand-in has become the node's script, which has become torchrun
    (signals,) = (option for option in job.torchrun() if option.startswith("--signals-to-handle="))
    assert {"SIGTERM", "SIGUSR1"} <= set(signals.split("=")[1].split(","))


def test_steps_get_all_cores_and_a_store_of_their_own(cluster: Cluster) -> None:
    job = cluster.submit()
    job.wait_until_it_trains()
    environment = job.environment()
    assert environment["SRUN_CPUS_PER_TASK"] == "96"
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] == "1"


def test_an_active_environment_comes_before_the_repository_s(cluster: Cluster) -> None:
    active = cluster.folder / "active"
    (active / "bin").mkdir(parents=True)
    (cluster.folder / ".venv/bin/python").rename(active / "bin/python")
    job = cluster.submit(VIRTUAL_ENV=str(active))
    job.finish()
    code, output = job.end()
    assert code == 0, output
    assert str(active / "bin/python") in output


def test_an_active_conda_environment_comes_before_the_repository_s(cluster: Cluster) -> None:
    conda = cluster.folder / "conda"
    (conda / "bin").mkdir(parents=True)
    (conda / "bin" / "python").write_text((cluster.folder / ".venv/bin/python").read_text())
    (conda / "bin" / "python").chmod(0o755)
    job = cluster.submit(CONDA_PREFIX=str(conda))
    job.finish()
    code, output = job.end()
    assert code == 0, output
    assert str(conda / "bin/python") in output


def test_a_conda_base_without_ddpzero_leaves_the_repository_s_environment(cluster: Cluster) -> None:
    conda = cluster.folder / "conda"
    (conda / "bin").mkdir(parents=True)
    (conda / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (conda / "bin" / "python").chmod(0o755)
    job = cluster.submit(CONDA_PREFIX=str(conda))
    job.finish()
    code, output = job.end()
    assert code == 0, output
    assert f"the active conda environment {conda} lacks ddpzero" in output
    assert str(cluster.folder / ".venv/bin/python") in output


def test_a_python_without_ddpzero_says_what_to_do(cluster: Cluster) -> None:
    (cluster.folder / ".venv/bin/python").write_text("#!/bin/sh\nexit 1\n")
    code, output = cluster.submit().end()
    assert code == 2
    assert "launch/setup.sh" in output


def test_a_job_submitted_from_elsewhere_says_what_to_do(cluster: Cluster) -> None:
    code, output = cluster.submit(SLURM_SUBMIT_DIR="/nowhere").end()
    assert code == 2
    assert "DDPZERO_HOME" in output
