"""Ranks of one machine take disjoint cores, close to each other and to their GPUs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ddpzero.run import rank_cores
from ddpzero.run.rank_cores import share_out_cores, take_own_cores
from ddpzero.run.ranks import Ranks
from ddpzero.system.cores import default_num_actors
from ddpzero.system.topology import Topology, as_ranges, numa_node_of_pci, own_cores, read_topology
from tests.torchrun import run_ranks

# Two NUMA nodes of four physical cores, each with two hardware threads: 0 and 8, 1 and 9, ...
TWO_NODES = Topology(
    {core: core % 8 // 4 for core in range(16)}, {core: core % 8 for core in range(16)}
)


def folder_of(tmp_path: Path) -> Path:
    """A machine as TWO_NODES, as /sys shows it, with a GPU at the second node."""
    for node, cores in enumerate(("0-3,8-11", "4-7,12-15")):
        folder = tmp_path / "devices" / "system" / "node" / f"node{node}"
        folder.mkdir(parents=True)
        (folder / "cpulist").write_text(f"{cores}\n")
    for core in range(16):
        folder = tmp_path / "devices" / "system" / "cpu" / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{core % 8},{core % 8 + 8}\n")
    for address, node in (("0000:3b:00.0", "1"), ("0000:5e:00.0", "-1")):
        folder = tmp_path / "bus" / "pci" / "devices" / address
        folder.mkdir(parents=True)
        (folder / "numa_node").write_text(f"{node}\n")
    return tmp_path


def test_a_topology_is_read_from_sys(tmp_path: Path) -> None:
    root = folder_of(tmp_path)
    assert read_topology(root) == TWO_NODES
    assert numa_node_of_pci("0000:3b:00.0", root) == 1
    assert numa_node_of_pci("0000:5e:00.0", root) is None, "the kernel does not know"
    assert numa_node_of_pci("0000:99:00.0", root) is None


@pytest.mark.parametrize("text", ["", "what?", "3-x"])
def test_where_the_system_does_not_tell_all_cores_are_alike(tmp_path: Path, text: str) -> None:
    assert read_topology(tmp_path) == Topology()
    (tmp_path / "devices" / "system" / "node" / "node0").mkdir(parents=True)
    (tmp_path / "devices" / "system" / "node" / "node0" / "cpulist").write_text(text)
    assert read_topology(tmp_path) == Topology()


def shares(num_ranks: int, *nodes: int | None, cores: range = range(16)) -> list[str]:
    """The cores of each rank, all of which are checked to be disjoint and used."""
    found = share_out_cores(cores, TWO_NODES, nodes or [None] * num_ranks)
    assert sorted(core for share in found for core in share) == list(cores)
    assert max(map(len, found)) - min(map(len, found)) <= 1
    return [as_ranges(share) for share in found]


def test_ranks_take_whole_nodes_and_whole_physical_cores() -> None:
    assert shares(1) == ["0-15"]
    assert shares(2) == ["0-3,8-11", "4-7,12-15"]
    assert shares(4) == ["0-1,8-9", "2-3,10-11", "4-5,12-13", "6-7,14-15"]
    assert shares(8)[:3] == ["0,8", "1,9", "2,10"]


def test_a_rank_gets_the_node_of_its_gpu() -> None:
    assert shares(2, 1, 0) == ["4-7,12-15", "0-3,8-11"]
    assert shares(4, 1, 1, 0, 0) == ["4-5,12-13", "6-7,14-15", "0-1,8-9", "2-3,10-11"]


def test_no_core_idles_if_all_gpus_are_at_one_node() -> None:
    assert shares(2, 0, 0) == ["0-3,8-11", "4-7,12-15"]
    assert shares(4, 1, 1, 1, None)[2:] == ["0-1,8-9", "2-3,10-11"]


def test_a_node_outside_the_mask_is_no_reason_to_fail() -> None:
    assert shares(2, 5, 5, cores=range(8)) == ["0-3", "4-7"]
    assert shares(3, cores=range(8)) == ["0-2", "3,6-7", "4-5"]


def take(
    alone: Ranks, monkeypatch: pytest.MonkeyPatch, masks: list[list[int]], affinity: Any = "auto"
) -> tuple[list[list[int]], Ranks, str]:
    """Let rank 1 of so many ranks on this machine take its cores; returns what it kept to."""
    kept: list[list[int]] = []
    monkeypatch.setattr(rank_cores, "own_cores", lambda: masks[1])
    monkeypatch.setattr(rank_cores, "usable_cores", lambda: len(masks[1]))
    monkeypatch.setattr(rank_cores, "read_topology", lambda: TWO_NODES)
    monkeypatch.setattr(rank_cores, "keep_to", kept.append)

    def gather(self: Ranks, place: dict[str, Any]) -> list[dict[str, Any]]:
        here = [{**place, "rank": rank, "cores": mask} for rank, mask in enumerate(masks)]
        return [*here, {**place, "rank": len(masks), "machine": "another one", "cores": [0]}]

    monkeypatch.setattr(Ranks, "gather", gather)
    size = len(masks)
    ranks = replace(alone, rank=1, local_rank=1, world_size=size + 1, local_world_size=size)
    return kept, *take_own_cores(ranks, affinity)


def test_ranks_that_may_use_the_same_cores_divide_them(alone, monkeypatch) -> None:
    kept, ranks, sentence = take(alone, monkeypatch, [[*range(16)], [*range(16)]])
    assert [as_ranges(cores) for cores in kept] == ["4-7,12-15"]
    assert sentence == "rank 1 uses cores 4-7,12-15 (learner.affinity=auto)"
    # The number of actors follows from the cores of the machine, not from half of a half.
    assert ranks.machine_cores == 16 and default_num_actors(2, ranks.machine_cores) == 7


def test_masks_that_differ_are_respected(alone, monkeypatch) -> None:
    kept, ranks, sentence = take(alone, monkeypatch, [[*range(8)], [*range(8, 16)]])
    assert (kept, sentence) == ([], "")
    assert default_num_actors(2, ranks.machine_cores) == 7


def test_nothing_changes_without_enough_cores_or_if_the_user_says_so(alone, monkeypatch) -> None:
    assert take(alone, monkeypatch, [[0, 1]] * 3)[0] == []
    assert take(alone, monkeypatch, [[0, 1]] * 2, "none")[0] == []
    # A system without masks.
    assert take(alone, monkeypatch, [[]] * 2)[0] == []


def test_a_rank_that_is_alone_keeps_its_mask(alone, monkeypatch) -> None:
    monkeypatch.setattr(rank_cores, "keep_to", lambda cores: pytest.fail("it has changed"))
    ranks, sentence = take_own_cores(alone, "auto")
    assert ranks is alone and sentence == ""


TWO_RANKS = """
import subprocess, threading
from ddpzero.run.rank_cores import take_own_cores
from ddpzero.run.ranks import join_ranks

with join_ranks("cpu", 30) as ranks:
    # Threads that exist already, such as those of gloo, follow.
    ends = threading.Event()
    thread = threading.Thread(target=ends.wait)
    thread.start()
    ranks, sentence = take_own_cores(ranks, "auto")
    code = "import os; print(sorted(os.sched_getaffinity(0)))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    answer = {"own": sorted(os.sched_getaffinity(0)), "child": json.loads(child.stdout)}
    answer["thread"] = sorted(os.sched_getaffinity(thread.native_id))
    answer["sentence"], answer["machine_cores"] = sentence, ranks.machine_cores
    ends.set()
say(**answer)
"""


@pytest.mark.slow
def test_two_ranks_and_their_children_run_on_cores_of_their_own(tmp_path: Path) -> None:
    first, second = run_ranks(tmp_path, TWO_RANKS)
    for answer in (first, second):
        assert answer["own"] == answer["child"] == answer["thread"]
    if len(own_cores()) == 1:
        assert first["own"] == second["own"] and not first["sentence"]
        return
    assert first["sentence"].startswith("rank 0 uses cores ")
    assert not set(first["own"]) & set(second["own"])
    assert {*first["own"], *second["own"]} == set(own_cores())
