"""What a checkpoint costs a learner with a full replay buffer. Called by `ddpzero bench checkpoint`.

The learner is that of a training, in a temporary folder: its episodes are in shards, which a checkpoint only names.
A restore finds its files in the page cache, unless memory is short.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.recorded import record, recorded_episodes
from ddpzero.bench.short_run import short_run_settings, started_learner
from ddpzero.replay import Episode
from ddpzero.run.checkpoint_files import CHECKPOINTS_FOLDER, CheckpointError
from ddpzero.run.ranks import join_ranks
from ddpzero.run.shard import EPISODES_FOLDER, list_shards, shard_path
from ddpzero.settings import Settings
from ddpzero.system.machine import usable_memory
from ddpzero.system.measurements import Measurement, game_settings
from ddpzero.system.memory import check_memory
from ddpzero.system.signals import StopSignal
from ddpzero.system.temporary_folder import temporary_folder
from ddpzero.training.learner import Learner
from ddpzero.training.preflight import run_needs

# A store drops episodes rather than let a learner wait, which would matter only here.
_SAMPLES_BETWEEN_FLUSHES = 50_000
# New samples between two saves, at most; a tenth of a small buffer.
_NEW_SAMPLES = 20_000
_MIN_SAVES = 3


def bench_checkpoint(settings: Settings, seconds: float, seed: int) -> list[Measurement]:
    """Save again and again for `seconds`, then restore. Raises UserError if there is too little memory.

    Between two saves come new episodes and an update, as in a training.
    """
    algorithm = load_algorithm(settings)
    needs = run_needs(settings, algorithm, 1, settings.device == "cuda", actors_on_gpu=False)
    check_memory([need for need in needs if not need.on_gpu], usable_memory())
    with temporary_folder("ddpzero-checkpoint-") as folder:
        record(settings, seed, folder / "recording.npz")
        own = short_run_settings(settings, folder)
        with (
            join_ranks(settings.device) as ranks,
            started_learner(own, ranks, StopSignal(), folder / "recording.npz") as learner,
        ):
            episodes = itertools.cycle(recorded_episodes(folder / "recording.npz"))
            figures = _measure(learner, episodes, seconds, folder / own.run_name)
    conditions: dict[str, Any] = {
        "model": algorithm.model_tag(),
        "capacity": settings.replay.capacity,
        **game_settings(settings.game.parameters),
        "seconds": seconds,
        "seed": seed,
    }
    return [
        Measurement("checkpoint", algorithm.game.name, *figure, conditions) for figure in figures
    ]


def _measure(
    learner: Learner, episodes: Iterator[Episode], seconds: float, run_dir: Path
) -> list[tuple[str, float, str]]:
    buffer, store = learner.parts.buffer, learner.intake.store
    while buffer.num_samples < buffer.capacity:
        missing = buffer.capacity - buffer.num_samples
        _insert(learner, episodes, min(missing, _SAMPLES_BETWEEN_FLUSHES))
        store.flush()
    num_new = min(_NEW_SAMPLES, -(-buffer.capacity // 10))
    save_seconds, shard_bytes = [_save(learner)], list[int]()
    until = time.perf_counter() + seconds
    while len(save_seconds) <= _MIN_SAVES or time.perf_counter() < until:
        written = store.size_bytes
        _insert(learner, episodes, num_new)
        learner.update()
        save_seconds.append(_save(learner))
        shard_bytes.append(store.size_bytes - written)
    checkpoint_bytes = _size_of(run_dir / CHECKPOINTS_FOLDER / learner.checkpointing.newest)
    num_samples = buffer.num_samples
    started = time.perf_counter()
    learner.checkpointing.restore()
    restore_seconds = time.perf_counter() - started
    if buffer.num_samples != num_samples:
        raise CheckpointError(f"{num_samples - buffer.num_samples:,} samples were not restored.")
    typical = median(save_seconds[1:])
    stored_bytes = sum(_shard_sizes(run_dir / EPISODES_FOLDER))
    mebibyte = 2**20
    return [
        ("seconds_lost_in_a_save", typical, "s"),
        ("most_seconds_lost_in_a_save", max(save_seconds), "s"),
        ("bytes_of_a_checkpoint", checkpoint_bytes / mebibyte, "MiB"),
        ("bytes_of_new_episodes", median(shard_bytes) / mebibyte, "MiB"),
        (
            "bytes_per_second",
            (checkpoint_bytes + median(shard_bytes)) / mebibyte / typical,
            "MiB/s",
        ),
        ("new_samples", num_new, ""),
        ("restore_seconds", restore_seconds, "s"),
        ("restored_samples_per_second", num_samples / restore_seconds, "1/s"),
        ("bytes_of_all_episodes", stored_bytes / mebibyte, "MiB"),
        ("bytes_of_the_buffer", buffer.size_bytes / mebibyte, "MiB"),
    ]


def _insert(learner: Learner, episodes: Iterator[Episode], num_samples: int) -> None:
    before = learner.parts.buffer.num_inserted
    while learner.parts.buffer.num_inserted - before < num_samples:
        learner.insert(list(itertools.islice(episodes, 16)))


def _save(learner: Learner) -> float:
    """Save a checkpoint; return how long the learner waited for it. Raises CheckpointError."""
    started = time.perf_counter()
    learner.save()
    if learner.checkpointing.last_error:
        raise CheckpointError(learner.checkpointing.last_error)
    return time.perf_counter() - started


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _shard_sizes(folder: Path) -> list[int]:
    return [shard_path(folder, key).stat().st_size for key in list_shards(folder)]
