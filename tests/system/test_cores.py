"""Actors from cores: the affinity mask, the quota of a container, and one core for the learner."""

from __future__ import annotations

import os

import pytest

from ddpzero.actors import default_num_actors
from ddpzero.system import cores


@pytest.mark.parametrize(
    ("usable_cores", "local_world_size", "num_actors"),
    [(1, 1, 1), (2, 1, 1), (16, 1, 15), (128, 8, 15), (8, 8, 1), (4, 8, 1)],
)
def test_one_actor_per_core_of_a_rank_less_one_for_its_learner(
    monkeypatch, usable_cores, local_world_size, num_actors
):
    monkeypatch.setattr(cores, "usable_cores", lambda: usable_cores)
    assert default_num_actors(local_world_size) == num_actors


def test_the_affinity_mask_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 9})
    assert cores.usable_cores(tmp_path) == 3


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 64), ("400000 100000", 4), ("250000 100000", 2), ("50000 100000", 1)],
)
def test_the_quota_of_a_container_counts(monkeypatch, tmp_path, quota, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert cores.usable_cores(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 64), ("300000", 3)])
def test_the_quota_of_an_older_container_counts(monkeypatch, tmp_path, quota, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cores.usable_cores(tmp_path) == expected
