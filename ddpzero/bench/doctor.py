"""Looks at what a run needs of a machine, and says what will hurt. Called by `ddpzero doctor`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.table import Table
from rich.text import Text

from ddpzero.games.core.cache_folder import cache_folder
from ddpzero.system.cores import usable_cores
from ddpzero.system.json_text import json_text
from ddpzero.system.machine import processor_name, usable_memory
from ddpzero.system.origin import version_text
from ddpzero.system.other_load import load_of_others
from ddpzero.system.parent import with_parent
from ddpzero.system.terminal import plain_console

_PYTHONS = ((3, 11), (3, 13))
_GIB = 2**30
_FEW_BYTES = 2 * _GIB
# A run of days with its games.
_LITTLE_DISK = 10 * _GIB
# NCCL's buffers between the GPUs of a node.
_SMALL_SHM = _GIB
# Ranks, actors, logs; allow_open_files raises the soft limit.
_FEW_FILES = 1024
_SECONDS_OF_RANKS = 120
# Four numbers, each 2 + 1.
_SUM_BY_GRAPH = 12.0
_EXTRAS = {
    "server": ("fastapi", "sqlalchemy", "uvicorn"),
    "contribute": ("httpx2", "tenacity"),
    "report": ("matplotlib",),
    "wandb": ("wandb",),
}


@dataclass(frozen=True)
class Finding:
    """What was found of one thing. advice: a sentence on what will hurt, and what to do; "" if nothing will.

    level: "problem": a run cannot start, or not as it should; "note": it is worth knowing.
    """

    name: str
    found: str
    level: Literal["ok", "note", "problem"] = "ok"
    advice: str = ""


def examine(folder: Path, starts_ranks: bool = True) -> Iterator[Finding]:
    """Yield findings, one after the other. folder: where runs will be. starts_ranks: try two of them, for seconds."""
    for check in _CHECKS:
        yield from check()
    yield _disk(folder)
    yield from _numba_cache()
    if starts_ranks:
        yield _two_ranks()


def run_doctor(folder: Path, starts_ranks: bool, as_json: bool) -> int:
    """Print the findings; return 1 if one of them is a problem."""
    table = Table("what", "found", "what it means")
    table.columns[1].overflow = "fold"
    findings = []
    for finding in examine(folder, starts_ranks):
        findings.append(finding)
        if as_json:
            print(json_text(vars(finding)), flush=True)
        style = {"ok": "", "note": "yellow", "problem": "bold red"}[finding.level]
        mark = "" if finding.level == "ok" else f"{finding.level}: "
        table.add_row(finding.name, finding.found, Text(mark + finding.advice, style))
    problems = sum(finding.level == "problem" for finding in findings)
    if not as_json:
        console = plain_console()
        console.print(table)
        notes = sum(finding.level == "note" for finding in findings)
        count = f"{problems} problem{'' if problems == 1 else 's'}, {notes} note{'' if notes == 1 else 's'}"
        console.print(
            f"{count}. `ddpzero bench` and `ddpzero tune` measure how fast this machine is."
        )
    return 1 if problems else 0


# ------------------------------------------------------------------- programs


def _versions() -> Iterator[Finding]:
    yield Finding("ddpzero", version_text().removeprefix("ddpzero "))
    yield from _versions_of_python()
    for name in ("numpy", "numba"):
        yield Finding(name, importlib.metadata.version(name))
    missing = [
        extra
        for extra, modules in _EXTRAS.items()
        if not all(map(importlib.util.find_spec, modules))
    ]
    if missing:
        advice = f"for these parts: pip install 'ddpzero[{','.join(missing)}]'."
        yield Finding("extras", f"without {', '.join(missing)}", "ok", advice)
    else:
        yield Finding("extras", "all installed")


def _versions_of_python() -> Iterator[Finding]:
    first, last = _PYTHONS
    ours = sys.version_info[:2]
    python = ".".join(map(str, sys.version_info[:3]))
    if first <= ours <= last:
        yield Finding("Python", python)
    else:
        yield Finding(
            "Python",
            python,
            "problem" if ours < first else "note",
            f"ddpzero is tested with Python {first[0]}.{first[1]} to {last[0]}.{last[1]}: use one of these.",
        )


def _torch() -> Iterator[Finding]:
    # Takes a second.
    import torch

    cuda = torch.version.cuda
    has_driver = shutil.which("nvidia-smi") is not None
    if cuda is None:
        advice = (
            "this machine has an NVIDIA driver, but this build of PyTorch cannot use a GPU: install one for CUDA "
            "(https://pytorch.org/get-started)."
        )
        level: Literal["ok", "note"] = "note" if has_driver else "ok"
        yield Finding(
            "PyTorch", f"{torch.__version__}, no CUDA", level, advice if has_driver else ""
        )
        yield _apple_gpu()
        return
    nccl = (
        ".".join(map(str, torch.cuda.nccl.version()))
        if torch.distributed.is_nccl_available()
        else "none"
    )
    yield Finding("PyTorch", f"{torch.__version__}, CUDA {cuda}, NCCL {nccl}")
    if not torch.cuda.is_available():
        advice = (
            "PyTorch sees no GPU: if there is one, check nvidia-smi, that the driver is as new as CUDA "
            f"{cuda} needs, and that CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES')!r} is not empty."
        )
        yield Finding(
            "GPU", "none", "problem" if has_driver else "ok", advice if has_driver else ""
        )
        return
    yield Finding("driver", _driver())
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        text = f"{properties.name}, {free / _GIB:.1f} of {total / _GIB:.1f} GiB free"
        if free < 0.8 * total:
            advice = (
                "another program uses its memory: a run may find too little, or be slowed down."
            )
            yield Finding(f"GPU {index}", text, "note", advice)
        else:
            yield Finding(f"GPU {index}", text)
    yield _cuda_graphs()


def _cuda_graphs() -> Finding:
    """Return whether a run can launch the kernels of a batch at once."""
    advice = (
        "actors evaluate without them, as with actors.cuda_graphs=false, more slowly. Often the driver is older than "
        "this PyTorch needs, or a tool that watches CUDA is at work."
    )
    try:
        found = _sum_by_graph()
    # Drivers and tools have errors of their own.
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        return Finding("CUDA graphs", f"{type(error).__name__}: {first_line}", "note", advice)
    if found != _SUM_BY_GRAPH:
        advice = "its results are wrong: train with actors.cuda_graphs=false, and report it."
        return Finding("CUDA graphs", f"{found:g} instead of {_SUM_BY_GRAPH:g}", "problem", advice)
    return Finding("CUDA graphs", "captured and replayed")


def _sum_by_graph() -> float:
    """Return _SUM_BY_GRAPH, computed by a graph on the first GPU."""
    import torch

    from ddpzero.evaluators.graphs import CudaCapture
    from ddpzero.evaluators.streams import CudaStreams

    device = torch.device("cuda", 0)
    streams = CudaStreams(device)
    numbers = torch.zeros(4, device=device)
    streams.compute.wait_stream(streams.current())
    with streams.use(streams.compute):
        # Once before the capture: kernels are loaded at their first call.
        numbers + 1.0
        captured = CudaCapture(device, streams.compute)(lambda: (numbers + 1.0, numbers))
        numbers.fill_(2.0)
        captured.replay()
        return float(captured.answers[0].sum())


def _apple_gpu() -> Finding:
    from ddpzero.system.devices import has_apple_gpu

    if not has_apple_gpu():
        return Finding("GPU", "none that PyTorch can use")
    advice = (
        "device=mps uses it, and auto does not: ddpzero was never run on one, and small networks are often faster on "
        "the processor. Compare ddpzero bench learner device=mps and device=cpu."
    )
    return Finding("GPU", "Apple's", "ok", advice)


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return (found.stdout.split() or ["unknown"])[0]


# -------------------------------------------------------------------- machine


def _cores() -> Iterator[Finding]:
    yield Finding("processor", processor_name())
    usable, present = usable_cores(), os.cpu_count() or 1
    text = f"{usable} of {present} cores"
    if usable == 1:
        advice = (
            "an actor and the learner share one core: a run takes turns between them, and is slow."
        )
        yield Finding("cores", text, "note", advice)
    elif usable < present:
        advice = "an affinity mask or a quota (taskset, container, SLURM's --cpus-per-task) leaves out the others."
        yield Finding("cores", text, "note", advice)
    else:
        yield Finding("cores", text)
    yield _load()
    yield _half_precision()


def _load() -> Finding:
    load = load_of_others()
    if load:
        return Finding("load", load, "note", "a run, and what is measured now, is slower for it.")
    return Finding("load", "the cores are free")


def _half_precision() -> Finding:
    from ddpzero.system.devices import cpu_has_bfloat16

    if cpu_has_bfloat16():
        return Finding("bfloat16", "on the processor, too")
    return Finding("bfloat16", "not on the processor", "ok", "networks there run in float32.")


def _memory() -> Iterator[Finding]:
    memory = usable_memory()
    text = f"{memory.free_bytes / _GIB:.1f} of {memory.limit_bytes / _GIB:.1f} GiB free"
    if memory.free_bytes < _FEW_BYTES:
        advice = "a run with two actors takes about 2 GiB: close other programs, or lower replay.capacity."
        yield Finding("memory", text, "problem", advice)
    else:
        yield Finding("memory", text)


def _shared_memory() -> Iterator[Finding]:
    folder = Path("/dev/shm")
    if not folder.exists():
        return
    size = shutil.disk_usage(folder).total
    text = f"{size / _GIB:.2g} GiB"
    if size < _SMALL_SHM:
        advice = "NCCL may fail between GPUs of this node: start the container with --shm-size=1g or --ipc=host."
        yield Finding("/dev/shm", text, "note", advice)
    else:
        yield Finding("/dev/shm", text)


def _limits() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    text = f"{_limit_text(soft)}, at most {_limit_text(hard)}"
    if hard != unlimited and hard < _FEW_FILES:
        advice = f"many actors need more: raise it (ulimit -Hn {_FEW_FILES}, or /etc/security/limits.conf)."
        yield Finding("open files", text, "note", advice)
    else:
        yield Finding("open files", text)
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != unlimited and soft < _FEW_FILES:
        advice = "a rank starts a process for each actor, and threads in each: raise it (ulimit -u 4096)."
        yield Finding("processes", _limit_text(soft), "note", advice)


def _limit_text(number: int) -> str:
    return "no limit" if number == resource.RLIM_INFINITY else f"{number:,}"


def _variables() -> Iterator[Finding]:
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads not in (None, "1"):
        advice = "torchrun passes it on to each rank; learner.num_threads and actors.num_threads say what is used."
        yield Finding("OMP_NUM_THREADS", str(threads), "ok", advice)


def _disk(folder: Path) -> Finding:
    existing = next(
        path for path in [folder.absolute(), *folder.absolute().parents] if path.exists()
    )
    free = shutil.disk_usage(existing).free
    text = f"{free / _GIB:,.1f} GiB free for {folder}"
    if not os.access(existing, os.W_OK):
        return Finding(
            "disk", text, "problem", f"{existing} is not writable: choose another runs_dir."
        )
    if free < _LITTLE_DISK:
        advice = "checkpoints and games (store.keep, 20 GiB) may fill it: lower store.keep, or choose another runs_dir."
        return Finding("disk", text, "note", advice)
    return Finding("disk", text)


def _numba_cache() -> Iterator[Finding]:
    folder = cache_folder()
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named and Path(named) != folder:
        advice = f"NUMBA_CACHE_DIR={named} cannot be written, so compiled code is kept here: name another folder."
        yield Finding("numba's cache", str(folder), "note", advice)
    elif folder.is_relative_to(tempfile.gettempdir()):
        advice = (
            "it is in a temporary folder, which may be emptied: set NUMBA_CACHE_DIR to another one."
        )
        yield Finding("numba's cache", str(folder), "note", advice)
    else:
        yield Finding("numba's cache", str(folder))


# ---------------------------------------------------------------------- ranks


def _two_ranks() -> Finding:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command += ["-m", "ddpzero.bench.all_reduce"]
    advice = (
        "two ranks cannot sum numbers, so no run with several can start: check a firewall on the loopback device, "
        "GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME."
    )
    try:
        found = subprocess.run(
            with_parent(command),
            capture_output=True,
            text=True,
            timeout=_SECONDS_OF_RANKS,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        return Finding("two ranks", f"no answer in {_SECONDS_OF_RANKS} s", "problem", advice)
    answer = re.search(r"all-reduce (\w+) \d+ ([\d.]+)", found.stdout)
    if found.returncode != 0 or answer is None:
        lines = [line for line in found.stderr.splitlines() if "Error" in line] or ["they ended"]
        return Finding("two ranks", lines[-1].strip()[:200], "problem", advice)
    return Finding("two ranks", f"sum 1 MB by {answer[1]} in {answer[2]} ms")


_CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    *(_versions, _torch, _cores, _memory, _shared_memory, _limits, _variables),
)
