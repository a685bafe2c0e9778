"""What is Linux's alone has a stand-in, which these tests run here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from ddpzero.actors.exchange import Exchange, LaneSize
from ddpzero.actors.weights import WeightsChannel
from ddpzero.system import machine
from ddpzero.system.cores import default_num_actors, usable_cores
from ddpzero.system.machine import usable_memory
from ddpzero.system.shared_memory import open_shared
from ddpzero.training.metrics import _memory_of_process_tree
from tests.waiting import wait_for


@pytest.fixture
def no_linux(monkeypatch, tmp_path):
    """A system without memfd, fallocate, affinity masks, control groups and /proc/self/cgroup."""
    for name in ("memfd_create", "posix_fallocate", "sched_getaffinity", "sched_setaffinity"):
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(machine, "_OWN_GROUPS", tmp_path / "none")
    monkeypatch.setattr(os, "cpu_count", lambda: 10)


def test_memory_is_shared_by_a_file_without_a_name(no_linux, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fd = open_shared("test", 5000)
    try:
        assert os.fstat(fd).st_size == 5000 and os.pread(fd, 10, 4000) == bytes(10)
        assert list(tmp_path.iterdir()) == []
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


def test_weights_and_positions_travel_by_it(no_linux):
    with WeightsChannel({"a": np.zeros(3, np.float32)}) as channel:
        channel.publish({"a": np.arange(3, dtype=np.float32)}, 7)
        arrays, version = channel.receive()
        assert arrays["a"].tolist() == [0, 1, 2] and version == 7
        del arrays
    with Exchange(1, LaneSize(1, 8, 8)) as exchange:
        lane = exchange.lane(0, 0)
        lane.submit(3, 0, 0)
        assert exchange.wait_for_requests(0.1) == 1
        (request,) = exchange.open_requests()
        exchange.answer(request, 4)
        assert lane.wait() == 4


def test_all_cores_and_all_memory_are_usable(no_linux, tmp_path):
    assert usable_cores(tmp_path) == 10 and default_num_actors(2) == 4
    memory = usable_memory(tmp_path)
    assert memory.limit_bytes == psutil.virtual_memory().total


def test_memory_of_processes_counts_shared_pages_where_nobody_tells(monkeypatch):
    child = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=100))
    process = SimpleNamespace(
        memory_info=lambda: SimpleNamespace(rss=1000), children=lambda recursive: [child]
    )
    assert _memory_of_process_tree(process) == 1100  # type: ignore[arg-type]


CHILD = """
import ctypes, sys, time
from types import SimpleNamespace
if sys.argv[2] == "without":
    ctypes.CDLL = lambda *_, **__: SimpleNamespace()
from ddpzero.system.parent import follow_parent
follow_parent(int(sys.argv[1]))
print("follows", flush=True)
time.sleep(60)
"""
PARENT = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}, str(os.getpid()), sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("prctl", ["with", "without"])
def test_a_child_ends_soon_after_its_parent_is_killed(prctl):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, prctl], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    time.sleep(1.0)
    assert child.is_running()
    parent.kill()
    parent.wait()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 10)
