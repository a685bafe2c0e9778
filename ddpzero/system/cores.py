"""How many actors a rank should have, from the processor cores that it may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from ddpzero.system.machine import own_groups


def default_num_actors(local_world_size: int, num_cores: int | None = None) -> int:
    """Return one actor per core of this rank, minus one core for its learner; at least 1.

    local_world_size: ranks on this node; they share the node's cores evenly. num_cores: of the node; None: those that
    this process may use.
    """
    return max(1, (num_cores or usable_cores()) // local_world_size - 1)


def usable_cores(cgroup_root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many cores this process may use, from its affinity mask and the quotas of its control groups
    (containers, SLURM).
    """
    cores = cores_of_affinity()
    quotas = [
        quota for group in own_groups("cpu", cgroup_root) if (quota := _quota(group)) is not None
    ]
    return max(1, min([cores, *(math.floor(quota) for quota in quotas)]))


def cores_of_affinity() -> int:
    """Return the number of cores in this process's affinity mask; of all cores where the system has no such masks."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(group: Path) -> float | None:
    """Return how many cores one group may use on average; None without a limit."""
    try:
        if (file := group / "cpu.max").exists():
            quota, period = file.read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text()
        return None if quota in ("max", "-1") else int(quota) / int(period)
    # The group does not exist, or this kernel uses another format.
    except (OSError, ValueError):
        return None
