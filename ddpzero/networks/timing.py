"""Fair comparison of functions that do the same work in different ways."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ddpzero.system.devices import synchronize


def best_seconds(
    functions: Sequence[Callable[[], Any]], device: torch.device, budget_seconds: float
) -> list[float]:
    """Call the functions in turn for budget_seconds, at least twice each; return the shortest duration of each.

    In turn and shortest, since other processes disturb: whatever slows one function down slows the others as well.
    """
    best = [float("inf")] * len(functions)
    for function in functions:
        function()  # kernels are compiled at the first call
    started = clock_seconds(device)
    num_rounds = 0
    while num_rounds < 2 or clock_seconds(device) - started < budget_seconds:
        num_rounds += 1
        for index, function in enumerate(functions):
            before = clock_seconds(device)
            function()
            best[index] = min(best[index], clock_seconds(device) - before)
    return best


def clock_seconds(device: torch.device) -> float:
    """Choose a clock for work on `device` that other processes disturb little.

    On a CPU the time of this thread alone, which stands still while others have the core.
    """
    return time.thread_time() if device.type == "cpu" else synchronized_now(device)


def synchronized_now(device: torch.device) -> float:
    """Wait for all work submitted to `device`, and return time.perf_counter()."""
    synchronize(device)
    return time.perf_counter()
