"""What this process may use of the machine it runs on: memory, open files, the current folder.

Called before a run, a match or a benchmark starts; starts nothing and imports nothing heavy.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ddpzero.system.errors import UserError

_CGROUP_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """limit_bytes: what this process and its children could have if nothing else ran. free_bytes: what they can now."""

    limit_bytes: int
    free_bytes: int


def require_current_folder() -> None:
    """Raise UserError in a shell whose folder somebody has removed: no relative path means anything there."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError(
            "the folder that this was started in has been removed: change into one that exists."
        ) from None


def usable_memory(cgroup_root: Path = _CGROUP_ROOT) -> Memory:
    """The machine's memory, or less where a control group (container, SLURM job) allows less. Swap does not count."""
    # Here, so that actors and launch/gpu_check.sh do without it.
    import psutil

    machine = psutil.virtual_memory()
    limit, free = machine.total, machine.available
    for group in own_groups("memory", cgroup_root):
        if (group_memory := _group_memory(group)) is not None:
            limit = min(limit, group_memory.limit_bytes)
            free = min(free, group_memory.free_bytes)
    return Memory(limit, max(0, free))


def own_groups(controller: str, cgroup_root: Path = _CGROUP_ROOT) -> Iterator[Path]:
    """The folders of this process's control groups and of all above them, of cgroup v2 and of v1's `controller`."""
    groups = {cgroup_root, cgroup_root / controller}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            root = cgroup_root / controllers
            group = root / path.lstrip("/")
            groups |= {group, *(parent for parent in group.parents if parent.is_relative_to(root))}
    yield from sorted(groups)


def allow_open_files(num_files: int) -> int:
    """Raise this process's limit of open files to num_files, as far as it may; returns what is allowed then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= num_files:
        return num_files
    wanted = num_files if hard == unlimited else min(num_files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _group_memory(group: Path) -> Memory | None:
    """None without a limit, or without such a group."""
    try:
        if (group / "memory.max").exists():
            limit_file, usage_file, cache = "memory.max", "memory.current", "inactive_file"
        else:
            limit_file, usage_file = "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        limit_text = (group / limit_file).read_text().strip()
        if limit_text == "max":
            return None
        limit, usage = int(limit_text), int((group / usage_file).read_text())
        counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # The kernel gives pages of files back before it kills anybody.
        return Memory(limit, limit - usage + int(counts.get(cache, 0)))
    except (OSError, ValueError):  # no such group here, or a kernel that says it otherwise
        return None
