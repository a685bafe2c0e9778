"""Compares two loops of updates on one machine: they take turns in short slices. Imports no more than torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch

from ddpzero.system.devices import synchronize

_SLICE_SECONDS = 0.25


@dataclass(frozen=True)
class LoopRates:
    """Updates per second of a learner's loop and of a bare loop; fraction: of the bare rate. All are medians."""

    loop: float
    bare: float
    fraction: float


def compare_loops(
    loop: Callable[[], object], bare: Callable[[], object], device: torch.device, seconds: float
) -> LoopRates:
    """Call two updates in turns for `seconds`: that of a loop, and that of a bare one."""
    # Warm up: compiles, and fills caches.
    for update in (loop, bare):
        _updates_per_second(update, device)
    slices: list[tuple[float, float]] = []
    deadline = time.perf_counter() + seconds
    while not slices or time.perf_counter() < deadline:
        in_turn = (loop, bare) if len(slices) % 2 else (bare, loop)
        rates = {update: _updates_per_second(update, device) for update in in_turn}
        slices.append((rates[loop], rates[bare]))
    return LoopRates(
        loop=median(of_loop for of_loop, _ in slices),
        bare=median(of_bare for _, of_bare in slices),
        # Slices that follow each other saw the same machine.
        fraction=median(of_loop / of_bare for of_loop, of_bare in slices),
    )


def _updates_per_second(update: Callable[[], object], device: torch.device) -> float:
    num_updates, started = 0, time.perf_counter()
    while num_updates == 0 or time.perf_counter() < started + _SLICE_SECONDS:
        update()
        num_updates += 1
    synchronize(device)
    return num_updates / (time.perf_counter() - started)
