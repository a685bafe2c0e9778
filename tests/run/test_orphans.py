"""No rank outlives its torchrun, not even one that is killed while its ranks are being born."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torchrun import environment, torchrun_command, write_program

# Forks real agents from a process that has loaded torch already, and kills each of them up to 50 ms after the birth of
# its first rank: long before the ranks have loaded anything. Prints how many ranks there were and how many were left.
KILLS = """
import ctypes, json, os, random, sys, time
import psutil
import torch.distributed.run as torchrun

runs_dir, adopter = sys.argv[1:]
if adopter == "this process":
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
overrides = ["game=tic_tac_toe", "device=cpu", f"runs_dir={runs_dir}"]

def kill_one(delay_seconds):
    agent = os.fork()
    if agent == 0:
        try:
            torchrun.main(["--standalone", "--nproc_per_node=2", "-m", "ddpzero.main", *overrides])
        finally:
            os._exit(1)
    watched = psutil.Process(agent)
    while not (ranks := watched.children()):
        time.sleep(0.0005)
    time.sleep(delay_seconds)
    ranks = set(ranks) | set(watched.children())
    watched.kill()
    os.waitpid(agent, 0)
    deadline = time.monotonic() + 5
    while (left := [rank for rank in ranks if is_running(rank)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    for rank in left:
        rank.kill()
    return len(ranks), len(left)

def is_running(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

delays = random.Random(0)
results = [kill_one(delays.uniform(0, 0.05)) for _ in range(10)]
print(json.dumps({"born": sum(born for born, _ in results), "left": sum(left for _, left in results)}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("adopter", "shares_no_store"),
    [("init", "1"), ("this process", "0")],
    ids=["init_adopts", "a_process_with_torch_adopts"],
)
def test_no_rank_survives_a_torchrun_killed_within_50_ms_of_its_birth(
    tmp_path: Path, adopter: str, shares_no_store: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path / "runs"), adopter],
        env=environment() | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": shares_no_store},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["born"] >= 10
    assert result["left"] == 0
    assert not (tmp_path / "runs").exists()  # none of them came to do anything


LIVES = """
from ddpzero.system.parent import die_with_parent
die_with_parent()
say(session_leader=os.getsid(0) == os.getpid())
"""


@pytest.mark.parametrize(
    ("wrapper", "is_session_leader"),
    [("", False), ("setsid --wait", True)],
    ids=["a_shell", "a_shell_and_a_new_session"],
)
def test_a_rank_behind_a_wrapper_knows_that_its_torchrun_lives(
    tmp_path: Path, wrapper: str, is_session_leader: bool
) -> None:
    program = write_program(tmp_path, LIVES)
    script = tmp_path / "wrapper.sh"
    # The second command keeps the shell from becoming Python, which would be no wrapper any more.
    script.write_text(f'{wrapper} {sys.executable} "$@"\nexit $?\n')
    command = torchrun_command(program, tmp_path, num_ranks=1)
    place = command.index(str(program))
    command[place:place] = ["--no-python", "sh", str(script)]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads((tmp_path / "answer-rank0.json").read_text())
    assert answer == {"session_leader": is_session_leader}


def test_a_program_that_only_inherits_a_torchruns_environment_is_left_alone(tmp_path: Path) -> None:
    program = write_program(tmp_path, LIVES)
    variables = {"TORCHELASTIC_RUN_ID": "a shell of it", "RANK": "0"}
    subprocess.run(
        [sys.executable, str(program), str(tmp_path)], env=environment() | variables, check=True
    )
    assert json.loads((tmp_path / "answer-rank0.json").read_text()) == {"session_leader": False}
