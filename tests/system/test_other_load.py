"""Facts about the load of other programs: what they use counts, and only on this process's cores."""

from __future__ import annotations

import os
from typing import NamedTuple

import pytest

from ddpzero.system import other_load
from ddpzero.system.other_load import load_of_others


class Core(NamedTuple):
    """What psutil says of a core, in seconds since the start."""

    user: float
    system: float
    idle: float
    iowait: float


def say(monkeypatch: pytest.MonkeyPatch, *busy: float, own: set[int], usable: int) -> None:
    """Let cores be busy for these shares of ten seconds."""
    looks = iter(
        [[Core(5, 1, 4, 2)] * len(busy), [Core(5 + 9 * b, 1 + b, 14 - 10 * b, 2) for b in busy]]
    )
    monkeypatch.setattr(other_load.psutil, "cpu_times", lambda percpu: next(looks))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: own)
    monkeypatch.setattr(other_load, "usable_cores", lambda: usable)


@pytest.mark.parametrize(
    ("busy", "own", "usable", "found"),
    [
        ((0.1, 0.2), {0, 1}, 2, ""),
        ((0.9, 0.7), {0, 1}, 2, "other programs use 1.6 of 2 cores"),
        ((1.0, 1.0, 0.0), {2}, 1, ""),
        ((0.0, 0.0, 0.5), {2}, 1, "other programs use 0.5 of 1 core"),
        # A quota of one core, and two that are free.
        ((1.0, 1.0, 0.0, 0.0), {0, 1, 2, 3}, 1, ""),
    ],
)
def test_load_is_told_if_it_leaves_too_few_cores(monkeypatch, busy, own, usable, found):
    say(monkeypatch, *busy, own=own, usable=usable)
    assert load_of_others(seconds=0.0) == found


def test_waiting_for_the_disk_is_no_load(monkeypatch):
    looks = iter([[Core(0, 0, 0, 0)], [Core(0.1, 0, 1, 9)]])
    monkeypatch.setattr(other_load.psutil, "cpu_times", lambda percpu: next(looks))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    monkeypatch.setattr(other_load, "usable_cores", lambda: 1)
    assert load_of_others(seconds=0.0) == ""


def test_this_machine_is_looked_at():
    assert load_of_others(seconds=0.1).split(" use ")[0] in ("", "other programs")
