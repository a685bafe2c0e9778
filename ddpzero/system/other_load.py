"""Whether other programs use the cores on which something is about to be measured."""

from __future__ import annotations

import os
import time

import psutil

from ddpzero.system.cores import cores_of_affinity, usable_cores

_SECONDS = 0.5
# Of the cores that this process may use: with less of them free, what is measured is too slow.
_ENOUGH = 0.8


def load_of_others(seconds: float = _SECONDS) -> str:
    """Return "other programs use 1.6 of 2 cores" if they leave too few for this process; else "". Takes `seconds`.

    Only cores in this process's affinity mask count.
    """
    before = _times_of_cores()
    time.sleep(seconds)
    busy = sum(map(_busy_share, before, _times_of_cores()))
    cores = cores_of_affinity()
    if cores - busy >= _ENOUGH * usable_cores():
        return ""
    return f"other programs use {busy:.1f} of {cores} {'core' if cores == 1 else 'cores'}"


def _times_of_cores() -> list[tuple[float, float]]:
    """Return the seconds that each core of this process has been at work, and in all."""
    times = psutil.cpu_times(percpu=True)
    if hasattr(os, "sched_getaffinity"):
        own = os.sched_getaffinity(0)
        times = [core for number, core in enumerate(times) if number in own]
    return [(sum(core) - core.idle - getattr(core, "iowait", 0.0), sum(core)) for core in times]


def _busy_share(before: tuple[float, float], after: tuple[float, float]) -> float:
    return (after[0] - before[0]) / max(after[1] - before[1], 1e-9)
