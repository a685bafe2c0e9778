"""What the tests of checkpoints share: small runs whose checkpoints can be told by their step."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ddpzero.config.conversion import settings_to_dict
from ddpzero.replay import Field, ReplayBuffer, ReplayState
from ddpzero.replay.buffer import ORIGIN
from ddpzero.replay.origin import ShardKey, rows_of
from ddpzero.run.checkpoint import Checkpoints, Snapshot, model_name
from ddpzero.run.folder import check_run_config
from ddpzero.run.progress import Progress
from ddpzero.run.random_state import random_state
from ddpzero.run.ranks import Ranks, join_ranks
from ddpzero.run.record import RunRecord
from ddpzero.settings import Settings
from ddpzero.system.signals import StopSignal
from ddpzero.training import learner as learner_module
from ddpzero.training.learner import Learner, build_learner
from ddpzero.training.reports import Outlets
from ddpzero.training.state import RunState

SPEC = {
    "planes": Field((3,), np.dtype("uint8"), "packed planes"),
    "weights_version": Field((), np.dtype("int32"), "who played it"),
}


def filled_buffer(num_samples: int, first: int = 0, seed: int = 0) -> ReplayBuffer:
    """A buffer whose samples are numbered from `first` in weights_version, and in their rows of a shard."""
    buffer = ReplayBuffer(SPEC, capacity=1000, seed=seed)
    numbers = np.arange(first, first + num_samples, dtype=np.int32)
    planes = np.repeat(numbers.astype(np.uint8)[:, None], 3, axis=1)
    columns = {"planes": planes, "weights_version": numbers}
    buffer.add(columns, origin=ShardKey(0, 0).origin(first))
    return buffer


def snapshot(step: int, buffer: ReplayBuffer | None = None, **changes: Any) -> Snapshot:
    """A checkpoint's content that can be told by its step."""
    content = {
        "model": model_name("run", "b1c8", samples_trained=32 * step, samples_generated=10),
        "counters": {"learner_step": step, "samples": 10},
        "weights": {"conv.weight": torch.full((2, 3), float(step))},
        "trainer": {"optimizer": {"state": [torch.full((4,), step / 7)]}, "note": "x"},
        "config": {"seed": 1, "network": {"blocks": 1}},
        "replay": (buffer or filled_buffer(10)).state,
        "rank_state": random_state(),
    }
    return Snapshot(**(content | changes))


def saved_run(run_dir: Path, ranks: Ranks, *steps: int, keep_last: int = 10) -> Checkpoints:
    checkpoints = Checkpoints(run_dir, ranks, keep_last)
    for step in steps:
        assert checkpoints.save(snapshot(step)) is not None
    return checkpoints


def restored_step(run_dir: Path, ranks: Ranks) -> int:
    restored = Checkpoints(run_dir, ranks, 10).restore()
    assert restored is not None
    assert restored.weights["conv.weight"].flatten().tolist() == 6 * [
        restored.counters["learner_step"]
    ]
    return restored.counters["learner_step"]


def without_actors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs begin without their actors."""
    pool = SimpleNamespace(num_actors=1)
    monkeypatch.setattr(learner_module, "start_actors", lambda *_: (pool, None))


def resume(run_dir: Path, settings: Settings) -> Learner:
    """Begin or resume a run as train() does, up to its actors, which the caller has patched away."""
    config = settings_to_dict(settings)
    with ExitStack() as stack:
        ranks = stack.enter_context(join_ranks("cpu"))
        check_run_config(run_dir, config, settings.checkpoint.allow_config_change, ranks)
        state = RunState(settings.learner, ranks, StopSignal())
        outlets = Outlets(run_dir, RunRecord(run_dir, ranks), Progress(enabled=False))
        return build_learner(settings, config, state, outlets, stack)


def sample_numbers(state: ReplayState) -> list[int]:
    """The numbers of the samples in the state of a filled_buffer, oldest first."""
    return rows_of(state.arrays[ORIGIN]).tolist()


def names(run_dir: Path) -> list[str]:
    return sorted(path.name for path in (run_dir / "checkpoints").iterdir())


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)
