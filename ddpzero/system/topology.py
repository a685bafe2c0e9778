"""Which cores are close to each other and to a GPU, from Linux's /sys, and which of them this process uses."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_SYS = Path("/sys")
_THREADS = Path("/proc/self/task")


@dataclass(frozen=True)
class Topology:
    """Where cores are. Without an entry, a core is in NUMA node 0, and alone in its physical core.

    numa_node: of a core. physical: the lowest core of the same physical one, of which hyper-threading makes several.
    """

    numa_node: Mapping[int, int] = field(default_factory=dict)
    physical: Mapping[int, int] = field(default_factory=dict)

    def node_of(self, core: int) -> int:
        return self.numa_node.get(core, 0)

    def in_order(self, cores: Iterable[int]) -> list[int]:
        """Return the cores so that neighbors are close: by NUMA node, then by physical core."""
        return sorted(cores, key=lambda c: (self.node_of(c), self.physical.get(c, c), c))


def read_topology(root: Path = _SYS) -> Topology:
    """Return what the system tells; nothing on systems that do not tell."""
    numa_node: dict[int, int] = {}
    physical: dict[int, int] = {}
    for file in root.glob("devices/system/node/node[0-9]*/cpulist"):
        number = int(file.parent.name.removeprefix("node"))
        numa_node |= dict.fromkeys(_cores_in(file), number)
    for file in root.glob("devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list"):
        siblings = _cores_in(file)
        physical |= dict.fromkeys(siblings, min(siblings, default=0))
    return Topology(numa_node, physical)


def numa_node_of_pci(address: str, root: Path = _SYS) -> int | None:
    """Return the NUMA node of a PCI device, such as "0000:3b:00.0"; None if it is unknown."""
    try:
        node = int((root / "bus" / "pci" / "devices" / address / "numa_node").read_text())
    except (OSError, ValueError):
        return None
    # The kernel writes -1 where there is one node, or where it does not know.
    return node if node >= 0 else None


def own_cores() -> list[int]:
    """Return the cores that this process may use; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def keep_to(cores: Collection[int]) -> None:
    """Let all threads of this process, and the processes that it starts, use these cores only. Raises OSError."""
    for thread in [int(path.name) for path in _THREADS.iterdir()]:
        # A thread may have ended meanwhile.
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread, cores)


def as_ranges(cores: Collection[int]) -> str:
    """Return cores as Linux writes them: "0-3,8"."""
    runs: list[list[int]] = []
    for core in sorted(cores):
        if runs and core == runs[-1][-1] + 1:
            runs[-1].append(core)
        else:
            runs.append([core])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _cores_in(file: Path) -> list[int]:
    """Return the cores of a list like "0-3,8"; none if it cannot be read."""
    cores: list[int] = []
    try:
        for part in filter(None, file.read_text().strip().split(",")):
            first, _, last = part.partition("-")
            cores += range(int(first), int(last or first) + 1)
    except (OSError, ValueError):
        return []
    return cores
