"""The content of a checkpoint's files, read and checked; checkpoint.py saves and restores them with all ranks.

Players call `load_weights`. Whatever a damaged or forged file causes becomes a CheckpointError.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddpzero.replay import ReplayState
from ddpzero.replay.buffer import HELD_OUT, ORIGIN
from ddpzero.replay.origin import ShardKey, from_runs, shard_of, to_runs
from ddpzero.run.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    MANIFEST_FILE,
    TRAINER_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    check_file,
    newest_first,
    rank_file,
    read_manifest,
    replay_file,
)
from ddpzero.run.divergence import state_tensors, weights_problem
from ddpzero.run.finder import is_run, why_unknown
from ddpzero.run.shard import EPISODES_FOLDER
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import (
    UnreadableFileError,
    is_count,
    map_arrays,
    read_json,
    read_tensors,
    read_torch,
    read_yaml,
)

logger = logging.getLogger(__name__)

# The arrays of a rank's file in format 2.
_RUN_STARTS, _RUN_LENGTHS, _HELD_OUT_BITS = "run_starts", "run_lengths", "is_held_out_bits"


@dataclass(frozen=True)
class ReleasedWeights:
    """The part of a checkpoint that a player needs; tensors are on the CPU."""

    weights: dict[str, torch.Tensor]
    config: dict[str, Any]
    counters: dict[str, Any]
    model: str
    path: Path


def load_weights(path: Path | str) -> ReleasedWeights:
    """Load what a player needs from a checkpoint's folder, or from the newest complete checkpoint in a run's folder.

    Reads and verifies only weights and config. Raises UserError if no checkpoint is usable.
    """
    path = Path(path)
    problems = []
    for candidate in _candidates(path):
        try:
            return _load_weights(candidate)
        except CheckpointError as error:
            logger.warning("skipped checkpoint %s: %s", candidate.name, error)
            problems.append(str(error))
    # A training may have removed it in the meantime.
    _require_folder(path)
    raise UserError(f"{path} contains no usable checkpoint: {' '.join(problems)}")


def _candidates(path: Path) -> list[Path]:
    """Return the folder of a checkpoint itself, or the checkpoints of a run, newest first; at least one."""
    if (path / MANIFEST_FILE).exists():
        return [path]
    candidates = newest_first(path / CHECKPOINTS_FOLDER)
    if not candidates:
        _require_folder(path)
        require(
            not is_run(path),
            f"{path} has no checkpoint yet: a run saves the first one after learner.steps_per_epoch updates, and when "
            "it is stopped.",
        )
        raise UserError(
            f"{path} is neither a checkpoint (a folder with {MANIFEST_FILE}) nor a run with checkpoints "
            f"({CHECKPOINTS_FOLDER}/<model>/)."
        )
    return candidates


def _require_folder(path: Path) -> None:
    require(path.is_dir(), f"{str(path)!r} is unknown: {why_unknown(str(path))}")


def _load_weights(path: Path) -> ReleasedWeights:
    manifest = read_manifest(path)
    with broken_content(path):
        for name in (WEIGHTS_FILE, CONFIG_FILE):
            check_file(path, name, manifest.files[name])
        weights = read_tensors(path / WEIGHTS_FILE)
        check_sane(path, weights)
        config = read_yaml(path / CONFIG_FILE)
    return ReleasedWeights(weights, config, manifest.counters, manifest.model, path)


def read_rank(path: Path, rank: int) -> tuple[ReplayState, dict[str, Any]]:
    """Return a rank's buffer, memory-mapped, and its state. Raises ValueError if either has the wrong type."""
    document = read_json(path / rank_file(rank))
    groups = ("replay_meta", "rank_state")
    if not (isinstance(document, dict) and all(isinstance(document.get(g), dict) for g in groups)):
        raise ValueError(f"{rank_file(rank)} lacks replay_meta or rank_state")
    arrays = map_arrays(path / replay_file(rank))
    if _RUN_STARTS in arrays:
        arrays = _unpacked(arrays)
    return ReplayState(arrays, document["replay_meta"]), document["rank_state"]


def packed(state: ReplayState) -> dict[str, np.ndarray]:
    """Return the arrays of a buffer's state as a checkpoint stores them: runs of origins, and a bit for each flag."""
    starts, lengths = to_runs(state.arrays[ORIGIN])
    bits = np.packbits(state.arrays[HELD_OUT])
    return {_RUN_STARTS: starts, _RUN_LENGTHS: lengths, _HELD_OUT_BITS: bits}


def _unpacked(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Undo `packed`. Raises ValueError or KeyError if that is not possible."""
    lengths = np.array(arrays[_RUN_LENGTHS])
    bits = arrays[_HELD_OUT_BITS]
    # Before the origins take memory: there is a bit for each of them.
    if bits.dtype != np.uint8 or bits.ndim != 1 or sum(map(int, lengths)) > 8 * len(bits):
        raise ValueError("the replay buffer's saved flags and origins have different lengths")
    origins = from_runs(np.array(arrays[_RUN_STARTS]), lengths)
    return {HELD_OUT: np.unpackbits(bits, count=len(origins)).astype(np.bool_), ORIGIN: origins}


def episodes_of(checkpoint: Path) -> Path:
    """Return the folder of the episodes that a checkpoint's shards are in."""
    return checkpoint.parent.parent / EPISODES_FOLDER


def shards_of(path: Path) -> set[ShardKey]:
    """Return the shards that a checkpoint names; none of an unreadable one. Reads little."""
    keys: set[ShardKey] = set()
    with suppress(CheckpointError), broken_content(path):
        for rank in range(read_manifest(path).world_size):
            arrays = map_arrays(path / replay_file(rank))
            if _RUN_STARTS in arrays:
                keys |= {shard_of(start) for start in arrays[_RUN_STARTS]}
    return keys


def read_trainer(path: Path) -> dict[str, Any]:
    state = read_torch(path / TRAINER_FILE)
    if not isinstance(state, dict):
        raise ValueError(
            f"{TRAINER_FILE} contains a {type(state).__name__}, not the state of an updater"
        )
    return state


def check_alike(states: list[ReplayState]) -> None:
    """Raise ValueError unless the buffers can be redistributed: equal fields, and equally many rows in each field."""
    layouts = []
    for rank, state in enumerate(states):
        layouts.append({name: (a.dtype, a.shape[1:]) for name, a in state.arrays.items()})
        num_rows = {len(array) if array.ndim else -1 for array in state.arrays.values()}
        counts = (state.meta.get("num_inserted"), state.meta.get("num_sampled"))
        if not (len(num_rows) == 1 and min(num_rows) >= 0 and all(map(is_count, counts))):
            raise ValueError(f"the replay buffer of rank {rank} has no valid number of samples")
    if any(layout != layouts[0] for layout in layouts):
        raise ValueError("the replay buffers of its ranks have different fields")


def check_sane(
    path: Path, weights: Mapping[str, torch.Tensor], trainer: Mapping[str, Any] | None = None
) -> None:
    """Raise CheckpointError for weights or a trainer's state that are not finite or far too large."""
    if problem := weights_problem({**weights, **state_tensors(trainer or {})}):
        raise CheckpointError(f"{path} comes from a training that has diverged: {problem}.")


@contextmanager
def broken_content(path: Path) -> Iterator[None]:
    """Turn errors that a file's content causes in its reader into CheckpointErrors; other UserErrors pass."""
    try:
        yield
    except UnreadableFileError as error:
        raise CheckpointError(str(error)) from None
    except (UserError, CheckpointError, torch.OutOfMemoryError):
        raise
    except (
        *(ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError),
        # torch raises it where a plugin leaves the checks to torch.
        RuntimeError,
    ) as error:
        text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise CheckpointError(f"{path} has content that cannot be used: {text[:400]}.") from None
