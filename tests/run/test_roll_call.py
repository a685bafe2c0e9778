"""Which ranks the others name when a collective fails: those that died or do not arrive, and no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.torchrun import environment

SCENARIOS = {
    "killed in a vote": {"place": "vote", "killed": [2]},
    "killed in a gather": {"place": "gather", "killed": [2]},
    "killed in a broadcast": {"place": "broadcast", "killed": [3]},
    "killed in a barrier": {"place": "barrier", "killed": [1]},
    "killed in an update": {"place": "update", "killed": [2]},
    "two killed": {"place": "vote", "killed": [1, 3]},
    "rank 0 killed": {"place": "vote", "killed": [0]},
    "rank 0 killed with its store": {"place": "update", "killed": [0], "rank_0_hosts": True},
    "killed while another is busy": {"place": "vote", "killed": [2], "busy": 1},
    "failed": {"place": "vote", "failed": [2]},
    "stopped": {"place": "vote", "stopped": [2], "timeout_seconds": 5.0},
    "stopped in an update": {"place": "update", "stopped": [1], "timeout_seconds": 5.0},
    "rank 0 stopped with its store": {
        "place": "barrier",
        "stopped": [0],
        "rank_0_hosts": True,
        "timeout_seconds": 5.0,
    },
}
NAMES = {
    "vote": "the vote before a step",
    "gather": "a gather",
    "broadcast": "a broadcast",
    "barrier": "epoch 3",
    "update": "the update",
}
NUM_RANKS = 5
# The ranks of all scenarios are forked from one process: PyTorch is imported once.
PROGRAM = f"""
import json, os, signal, socket, sys, time
from datetime import timedelta
from pathlib import Path
import torch
import torch._dynamo  # as DistributedDataParallel does, here once for all
from ddpzero.run.ranks import RankError, join_ranks
from ddpzero.system.parent import follow_parent

NUM_RANKS = {NUM_RANKS}

def meet(ranks, module, place):
    if place == "vote":
        ranks.vote([True], [3])
    elif place == "gather":
        ranks.gather("a" * ranks.rank)
    elif place == "broadcast":
        ranks.broadcast("a")
    elif place == "barrier":
        ranks.barrier("epoch 3")
    else:
        with ranks.watch("the update"):
            module(torch.ones(1, 2)).sum().backward()

def be_missing(ranks, scenario):
    time.sleep(0.2)  # the others wait by now
    if ranks.rank in scenario.get("killed", []):
        os.kill(os.getpid(), signal.SIGKILL)
    if ranks.rank in scenario.get("stopped", []):
        os.kill(os.getpid(), signal.SIGSTOP)
    if ranks.rank in scenario.get("failed", []):
        ranks.is_first_to_report("out of cheese")
        os._exit(1)

def run_rank(rank, scenario, folder):
    with join_ranks("cpu", scenario.get("timeout_seconds", 60.0)) as ranks:
        module = ranks.wrap(torch.nn.Linear(2, 1))
        ranks.barrier("the start")
        if rank in missing_ranks(scenario):
            be_missing(ranks, scenario)
        if rank == scenario.get("busy"):
            time.sleep(2.0)
        try:
            while True:  # a collective may succeed at some ranks
                meet(ranks, module, scenario["place"])
        except RankError as error:
            sentence = str(error)
        (folder / f".{{rank}}").write_text(sentence)
        (folder / f".{{rank}}").rename(folder / f"rank{{rank}}.txt")
        # Rank 0 may host the store, and leaves last.
        deadline = time.monotonic() + 30
        num_survivors = NUM_RANKS - len(missing_ranks(scenario))
        while rank == 0 and len(list(folder.glob("*.txt"))) < num_survivors:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os._exit(0)

def missing_ranks(scenario):
    return [rank for kind in ("killed", "stopped", "failed") for rank in scenario.get(kind, [])]

def host_store(port):
    store = torch.distributed.TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
    time.sleep(600)

def start(function, *arguments):
    parent = os.getpid()
    if pid := os.fork():
        return pid
    try:
        follow_parent(parent)
        function(*arguments)
    except BaseException:
        import traceback
        traceback.print_exc()
    os._exit(1)

def run(scenario, folder):
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(NUM_RANKS)}}
    os.environ |= {{"LOCAL_WORLD_SIZE": str(NUM_RANKS), "TORCHELASTIC_RESTART_COUNT": "0"}}
    rank_0_hosts = scenario.get("rank_0_hosts", False)
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = str(not rank_0_hosts)
    hosts = [] if rank_0_hosts else [start(host_store, port)]
    pids = {{}}
    for rank in range(NUM_RANKS):
        os.environ |= {{"RANK": str(rank), "LOCAL_RANK": str(rank)}}
        pids[rank] = start(run_rank, rank, scenario, folder)
    missing = [pids.pop(rank) for rank in missing_ranks(scenario)]
    for pid in pids.values():
        os.waitpid(pid, 0)
    for pid in [*missing, *hosts]:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

def run_all(scenarios, folder):
    for name, scenario in scenarios.items():
        run(scenario, folder / name)
    os._exit(0)

folder, scenarios = Path(sys.argv[1]), json.loads(sys.argv[2])
# Those that have to wait for a timeout do so at the same time.
slow = [{{name: scenario}} for name, scenario in scenarios.items() if "stopped" in scenario]
quick = {{name: scenario for name, scenario in scenarios.items() if "stopped" not in scenario}}
drivers = [start(run_all, some, folder) for some in (*slow, quick)]
assert all(os.waitpid(driver, 0)[1] == 0 for driver in drivers)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which every rank that survived a scenario has left its sentence."""
    folder = tmp_path_factory.mktemp("scenarios")
    program = folder / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(folder), json.dumps(SCENARIOS)]
    # A rank that never ends has no sentence: its test fails.
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(command, env=environment(), timeout=120, check=True)
    return folder


def sentences_of_survivors(folder: Path, name: str) -> list[str]:
    """Return what the surviving ranks said after the name of the place."""
    scenario = SCENARIOS[name]
    paths = sorted((folder / name).glob("rank*.txt"))
    missing = {rank for kind in ("killed", "stopped", "failed") for rank in scenario.get(kind, [])}
    assert [path.stem for path in paths] == [
        f"rank{rank}" for rank in range(NUM_RANKS) if rank not in missing
    ]
    start = f"{NAMES[scenario['place']]}: "
    texts = [path.read_text() for path in paths]
    assert all(text.startswith(start) for text in texts), texts
    return [text.removeprefix(start) for text in texts]


def title(rank: int) -> str:
    return f"rank {rank} (node {os.uname().nodename})"


@pytest.mark.parametrize("name", [name for name, case in SCENARIOS.items() if "killed" in case])
def test_every_survivor_names_the_ranks_that_were_killed_and_no_other(
    folder: Path, name: str
) -> None:
    killed = SCENARIOS[name]["killed"]
    who = ", ".join(title(rank) for rank in killed)
    expected = f"{who} is gone: it failed or was killed. See logs/rank{killed[0]}.log."
    assert set(sentences_of_survivors(folder, name)) == {expected}


@pytest.mark.parametrize("name", [name for name, case in SCENARIOS.items() if "stopped" in case])
def test_every_rank_names_the_one_that_hangs_and_no_other(folder: Path, name: str) -> None:
    (stopped,) = SCENARIOS[name]["stopped"]
    for sentence in sentences_of_survivors(folder, name):
        first, _, rest = sentence.partition(", while ")
        assert first == f"{title(stopped)} did not arrive within 5 s"
        assert f"See logs/rank{stopped}.log; if its work merely takes longer" in rest


def test_every_rank_repeats_why_one_failed(folder: Path) -> None:
    assert set(sentences_of_survivors(folder, "failed")) == {f"{title(2)} failed: out of cheese"}
