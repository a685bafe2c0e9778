"""Ranks of one machine take disjoint cores, each with its actors, its evaluator and its arena. Called at the start.

Otherwise the scheduler moves them about: they take turns on some cores while others idle, and memory is on another NUMA
node than the core that reads it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from ddpzero.replay.shares import even_share
from ddpzero.run.ranks import Ranks
from ddpzero.system.cores import usable_cores
from ddpzero.system.topology import (
    Topology,
    as_ranges,
    keep_to,
    numa_node_of_pci,
    own_cores,
    read_topology,
)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def take_own_cores(ranks: Ranks, affinity: Literal["auto", "none"]) -> tuple[Ranks, str]:
    """Keep this process to its share of the machine's cores, all ranks together; return the ranks and a sentence.

    The ranks know the cores of their machine. Nothing changes, and the sentence is "", with affinity "none", for a rank
    that is alone on its machine, and where ranks have different masks already (SLURM's --cpus-per-task, numactl) or
    more ranks than cores.
    """
    if ranks.world_size == 1:
        return ranks, ""
    cores = own_cores()
    place = {"machine": _machine(ranks), "rank": ranks.rank, "cores": cores}
    rows = ranks.gather({**place, "node": _numa_node_of_gpu(ranks.device)})
    rows = [row for row in rows if row["machine"] == place["machine"]]
    if any(row["cores"] != cores for row in rows):
        return replace(ranks, machine_cores=usable_cores() * len(rows)), ""
    ranks = replace(ranks, machine_cores=usable_cores())
    if affinity == "none" or len(rows) == 1 or len(cores) < len(rows):
        return ranks, ""
    shares = share_out_cores(cores, read_topology(), [row["node"] for row in rows])
    own = shares[[row["rank"] for row in rows].index(ranks.rank)]
    try:
        keep_to(own)
    except OSError:
        # Some sandboxes forbid it.
        return ranks, ""
    return ranks, f"rank {ranks.rank} uses cores {as_ranges(own)} (learner.affinity=auto)"


def share_out_cores(
    cores: Collection[int], topology: Topology, nodes: Sequence[int | None]
) -> list[list[int]]:
    """Divide cores evenly among ranks, each core to one rank. nodes: the NUMA node of each rank's GPU; None: unknown.

    A rank gets cores of the node of its GPU as far as there are some, and neighbors in any case. There are at least as
    many cores as ranks.
    """
    num_ranks = len(nodes)
    assert len(cores) >= num_ranks >= 1
    free = topology.in_order(cores)
    present = sorted({topology.node_of(core) for core in free})
    shares: list[list[int]] = []
    wanted = [even_share(len(free), num_ranks, rank) for rank in range(num_ranks)]
    for rank, node in enumerate(nodes):
        # Without a GPU, ranks are spread over the nodes in their order.
        near = node if node in present else present[rank * len(present) // num_ranks]
        share = [core for core in free if topology.node_of(core) == near][: wanted[rank]]
        free = [core for core in free if core not in share]
        shares.append(share)
    for share, number in zip(shares, wanted, strict=True):
        num_missing = number - len(share)
        share += free[:num_missing]
        del free[:num_missing]
    return shares


def _machine(ranks: Ranks) -> str:
    """Return what tells machines apart: containers of different machines may have one host name."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ranks.node


def _numa_node_of_gpu(device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    gpu: Any = torch.cuda.get_device_properties(device)
    try:
        address = f"{gpu.pci_domain_id:04x}:{gpu.pci_bus_id:02x}:{gpu.pci_device_id:02x}.0"
    except AttributeError:
        return None
    return numa_node_of_pci(address)
