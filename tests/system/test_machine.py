"""What a process may use: the machine's memory, limits of control groups, open files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ddpzero.system.errors import UserError
from ddpzero.system.machine import usable_memory
from ddpzero.training.preflight import check_open_files

GIB = 2**30


def write_group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_without_a_control_group_the_machine_counts(tmp_path):
    memory = usable_memory(tmp_path)
    assert memory.limit_bytes == psutil.virtual_memory().total
    assert 0 < memory.free_bytes < memory.limit_bytes


def test_the_limit_of_a_container_counts_and_its_file_cache_is_free(tmp_path):
    write_group(
        tmp_path,
        memory__max=f"{GIB // 2}\n",
        memory__current=f"{GIB // 4}\n",
        memory__stat=f"anon 5\ninactive_file {GIB // 8}\n",
    )
    memory = usable_memory(tmp_path)
    assert memory.limit_bytes == GIB // 2
    assert memory.free_bytes == GIB // 2 - GIB // 4 + GIB // 8


def test_the_limit_of_an_older_container_counts(tmp_path):
    write_group(
        tmp_path / "memory",
        memory__limit_in_bytes=f"{GIB // 2}\n",
        memory__usage_in_bytes=f"{GIB // 4}\n",
        memory__stat="total_inactive_file 0\n",
    )
    memory = usable_memory(tmp_path)
    assert (memory.limit_bytes, memory.free_bytes) == (GIB // 2, GIB // 4)


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096), "a new word"])
def test_a_group_without_a_limit_changes_nothing(tmp_path, limit):
    write_group(tmp_path, memory__max=limit, memory__current="4096", memory__stat="")
    assert usable_memory(tmp_path).limit_bytes == psutil.virtual_memory().total


def test_open_files_for_the_actors_are_raised_as_far_as_allowed():
    code = (
        "import resource; from ddpzero.training.preflight import check_open_files\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))\n"
        "check_open_files(10); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 100


def test_too_few_open_files_for_the_actors_are_told_with_both_numbers(monkeypatch):
    monkeypatch.setattr("ddpzero.training.preflight.allow_open_files", lambda _: 80)
    with pytest.raises(UserError) as caught:
        check_open_files(24)
    assert str(caught.value) == (
        "actors.num_actors=24 needs 204 open files at each rank, but no more than 80 are allowed here: lower "
        "actors.num_actors to 3, or raise the limit, as with ulimit -n 204."
    )
