"""The resources that this process may use: memory, open files, the current folder.

Called before a run, a match or a benchmark starts; light to import.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ddpzero.system.errors import UserError

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Memory:
    """The memory that this process and its children may use. limit_bytes: if nothing else ran. free_bytes: now."""

    limit_bytes: int
    free_bytes: int


def require_current_folder() -> None:
    """Raise UserError if the current folder has been removed: relative paths have no meaning there."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError("the current folder has been removed: change to an existing one.") from None


def processor_name() -> str:
    """Return the processor's name, "AMD EPYC 7B13"; its architecture if the kernel does not tell it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            names = [
                line.partition(":")[2].strip() for line in file if line.startswith("model name")
            ]
    except OSError:
        names = []
    return names[0] if names else os.uname().machine


def usable_memory(cgroup_root: Path = _CGROUP_ROOT) -> Memory:
    """Return the machine's memory, or less if a control group (container, SLURM job) allows less; without swap."""
    # Imported here, so that actors and launch/gpu_check.sh do not need it.
    import psutil

    machine = psutil.virtual_memory()
    limit, free = machine.total, machine.available
    for group in own_groups("memory", cgroup_root):
        if (group_memory := _group_memory(group)) is not None:
            limit = min(limit, group_memory.limit_bytes)
            free = min(free, group_memory.free_bytes)
    return Memory(limit, max(0, free))


def private_bytes() -> int:
    """Return the memory that this process has in use for itself: without pages of libraries and other files."""
    import psutil

    memory = psutil.Process().memory_info()
    # Without Linux, what it shares is not told.
    return int(memory.rss - getattr(memory, "shared", 0))


def own_groups(controller: str, cgroup_root: Path = _CGROUP_ROOT) -> Iterator[Path]:
    """Yield the folders of this process's control groups and their parents, for cgroup v2 and for v1's `controller`."""
    groups = {cgroup_root, cgroup_root / controller}
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except FileNotFoundError:
        # Not Linux.
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            root = cgroup_root / controllers
            group = root / path.lstrip("/")
            groups |= {group, *(parent for parent in group.parents if parent.is_relative_to(root))}
    yield from sorted(groups)


def allow_open_files(num_files: int) -> int:
    """Raise this process's limit of open files to num_files if permitted; return the resulting limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= num_files:
        return num_files
    wanted = num_files if hard == unlimited else min(num_files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _group_memory(group: Path) -> Memory | None:
    """Return the memory of one control group; None if it has no limit or does not exist."""
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
        # The kernel frees the page cache before it kills a process.
        return Memory(limit, limit - usage + int(counts.get(cache, 0)))
    # The group does not exist, or this kernel uses another format.
    except (OSError, ValueError):
        return None
