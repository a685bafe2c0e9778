"""What the tests of whole runs share: to start one under torchrun, to kill it, to compare what it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from safetensors.torch import load_file

from ddpzero.run.checkpoint_content import episodes_of, read_rank
from ddpzero.run.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    CheckpointError,
    check_size,
    newest_first,
    read_manifest,
)
from ddpzero.run.shard import list_shards, read_shard, shard_path
from ddpzero.training.offline import with_columns


def start(
    folder: Path, settings: Sequence[str], *overrides: str, num_ranks: int = 1
) -> subprocess.Popen[str]:
    """Start training in folder/tiny."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *(f"--nproc_per_node={num_ranks}", "-m", "ddpzero.main"),
        *settings,
        f"runs_dir={folder}",
        "run_name=tiny",
        *overrides,
    ]
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def run(folder: Path, settings: Sequence[str], *overrides: str, num_ranks: int = 1) -> str:
    """Train to the end; returns what was printed."""
    process = start(folder, settings, *overrides, num_ranks=num_ranks)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output[-4000:]
    return output


def kill_group(process: subprocess.Popen[str], number: int) -> None:
    os.killpg(process.pid, number)


def wait_for_checkpoint(folder: Path, process: subprocess.Popen[str]) -> Path:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        path = latest_checkpoint(folder / "tiny")
        if path is not None:
            return path
        assert process.poll() is None, process.communicate()[0][-4000:]
        time.sleep(0.1)
    raise AssertionError("no checkpoint in two minutes")


def final_state(folder: Path) -> dict[str, object]:
    """Everything of the newest checkpoint that training depends on."""
    path = latest_checkpoint(folder / "tiny")
    assert path is not None
    trainer = torch.load(path / "trainer.pt", weights_only=True)
    episodes = episodes_of(path)
    replay = [
        with_columns(read_rank(path, rank)[0], episodes).arrays
        for rank in range(read_manifest(path).world_size)
    ]
    return {
        "weights": load_file(path / "weights.safetensors"),
        "trainer": trainer,
        "replay": [
            {name: torch.from_numpy(array) for name, array in arrays.items()} for arrays in replay
        ],
        "episodes": stored_episodes(folder / "tiny"),
    }


def stored_episodes(run_dir: Path) -> list[str]:
    """All episodes that a run has stored, as text, in their order."""
    folder = run_dir / "episodes"
    shards = [read_shard(shard_path(folder, key)) for key in list_shards(folder)]
    return [json.dumps(e.info, sort_keys=True) for shard in shards for e in shard.episodes]


def assert_equal(first: object, second: object, where: str = "") -> None:
    """Equal bit by bit, whatever they are made of."""
    assert type(first) is type(second), where
    if isinstance(first, dict):
        assert isinstance(second, dict) and first.keys() == second.keys(), where
        for key in first:
            assert_equal(first[key], second[key], f"{where}.{key}")
    elif isinstance(first, (list, tuple)):
        assert isinstance(second, (list, tuple)) and len(first) == len(second), where
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_equal(*pair, f"{where}[{index}]")
    elif isinstance(first, torch.Tensor):
        assert isinstance(second, torch.Tensor) and torch.equal(first, second), where
    else:
        assert first == second, where


def latest_checkpoint(run_dir: Path) -> Path | None:
    """Return the newest checkpoint whose files all have their sizes, or None. Quick: reads no content."""
    for path in newest_first(run_dir / CHECKPOINTS_FOLDER):
        with suppress(CheckpointError):
            for name, record in read_manifest(path).files.items():
                check_size(path, name, record)
            return path
    return None
