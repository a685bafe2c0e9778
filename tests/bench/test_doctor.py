"""What `ddpzero doctor` says of machines on which a run will hurt."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from numba.core import config as numba_config

from ddpzero.bench import doctor
from ddpzero.bench.doctor import Finding, examine, run_doctor
from ddpzero.system.machine import Memory

GIB = 2**30


def found(name: str, folder: Path = Path("runs")) -> Finding:
    return next(each for each in examine(folder, starts_ranks=False) if each.name == name)


def test_this_machine_is_examined(capsys):
    names = [finding.name for finding in examine(Path("runs"), starts_ranks=False)]
    assert {"ddpzero", "Python", "PyTorch", "cores", "memory", "open files", "disk"} <= set(names)
    run_doctor(Path("runs"), starts_ranks=False, as_json=True)
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["name"] for record in records] == names
    run_doctor(Path("runs"), starts_ranks=False, as_json=False)
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 80


def test_two_ranks_sum_numbers():
    finding = doctor._two_ranks()
    assert finding.level == "ok" and "sum 1 MB by gloo in " in finding.found, finding


def test_ranks_that_do_not_reach_each_other_are_a_problem(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "nosuchdevice")
    finding = doctor._two_ranks()
    assert finding.level == "problem" and "GLOO_SOCKET_IFNAME" in finding.advice


@pytest.mark.parametrize(("version", "level"), [((3, 10, 1), "problem"), ((3, 14, 0), "note")])
def test_other_pythons_are_told(monkeypatch, version, level):
    monkeypatch.setattr(sys, "version_info", version)
    finding = next(doctor._versions_of_python())
    assert (finding.level, finding.found) == (level, ".".join(map(str, version)))
    assert "3.11 to 3.13" in finding.advice


def test_cores_that_are_left_out_are_told(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(doctor, "usable_cores", lambda: 4)
    assert found("cores").found == "4 of 64 cores" and found("cores").level == "note"
    monkeypatch.setattr(doctor, "usable_cores", lambda: 1)
    assert "takes turns" in found("cores").advice


def test_little_memory_is_a_problem_that_the_exit_code_tells(monkeypatch):
    monkeypatch.setattr(doctor, "usable_memory", lambda: Memory(4 * GIB, GIB))
    assert found("memory").found == "1.0 of 4.0 GiB free"
    assert found("memory").level == "problem"
    assert run_doctor(Path("runs"), starts_ranks=False, as_json=False) == 1


def test_few_open_files_are_told(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (256, 512))
    assert found("open files").found == "256, at most 512"
    assert "ulimit -Hn" in found("open files").advice
    assert found("processes").level == "note"


def test_a_full_or_read_only_disk_is_told(tmp_path, monkeypatch):
    usage = SimpleNamespace(total=GIB, used=0, free=GIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert found("disk", tmp_path / "new" / "runs").level == "note"
    assert found("/dev/shm").level == "ok"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    finding = found("disk", tmp_path / "new" / "runs")
    assert finding.level == "problem" and f"{tmp_path} is not writable" in finding.advice


def test_a_driver_without_a_build_for_it_is_told(monkeypatch):
    import torch

    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert "install one for CUDA" in found("PyTorch").advice


def test_cuda_graphs_that_cannot_be_captured_are_told(monkeypatch):
    def fails() -> float:
        raise RuntimeError("CUDA driver version is insufficient for CUDA runtime version\nmore")

    monkeypatch.setattr(doctor, "_sum_by_graph", fails)
    finding = doctor._cuda_graphs()
    assert finding.level == "note" and "actors.cuda_graphs=false" in finding.advice
    assert finding.found.endswith("insufficient for CUDA runtime version")
    monkeypatch.setattr(doctor, "_sum_by_graph", lambda: 4.0)
    assert doctor._cuda_graphs().level == "problem"
    monkeypatch.setattr(doctor, "_sum_by_graph", lambda: 12.0)
    assert doctor._cuda_graphs() == Finding("CUDA graphs", "captured and replayed")


@pytest.mark.gpu
def test_cuda_graphs_are_captured_and_replayed():
    assert doctor._cuda_graphs() == Finding("CUDA graphs", "captured and replayed")


def test_a_cache_in_a_temporary_folder_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(doctor.tempfile, "gettempdir", lambda: str(tmp_path))
    assert found("numba's cache").level == "note"


def test_a_named_cache_that_cannot_be_written_is_told(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/cache")
    monkeypatch.setattr(numba_config, "CACHE_DIR", "/proc/cache")
    finding = found("numba's cache")
    assert finding.level == "note" and "NUMBA_CACHE_DIR=/proc/cache cannot" in finding.advice
    assert not finding.found.startswith("/proc/cache")
