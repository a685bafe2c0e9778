"""Checkpoints of a run, `runs/<run_name>/checkpoints/<model>/`: saved and restored by all ranks together.

    weights.safetensors            what actors play with: all that a player needs, with config.yaml
    trainer.pt                     the updater's state (optimizer, raw weights, ...); torch.load with weights_only
    replay-rank<r>.safetensors     each rank's buffer
    rank<r>.json                   each rank's random generators and the buffer's counters
    config.yaml, manifest.json     the resolved config; sizes and checksums of everything, written last

A resume passes over what is damaged; the next save moves it to `checkpoints/.passed-over/`.
A checkpoint is written aside, in `.partial-<model>`, and renamed when it is whole and on the disk: whatever is killed
at whatever moment, the previous one stays. Called by the learner; `load_weights` by whoever plays.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors.torch import save as tensors_to_bytes

from ddpzero.replay import ReplayState, redistribute
from ddpzero.run.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    MANIFEST_FILE,
    PARTIAL_PREFIX,
    PASSED_OVER_FOLDER,
    TRAINER_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    FileRecord,
    Manifest,
    check_file,
    check_size,
    new_manifest,
    newest_first,
    rank_file,
    read_manifest,
    replay_file,
    sync_folder,
    write_arrays,
    write_bytes,
    write_file,
    write_json,
    write_manifest,
)
from ddpzero.run.divergence import state_tensors, weights_problem
from ddpzero.run.folder import config_text
from ddpzero.run.ranks import Ranks
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import (
    UnreadableFileError,
    is_count,
    is_dense,
    map_arrays,
    read_json,
    read_tensors,
    read_torch,
    read_yaml,
)
from ddpzero.system.whole_files import remove

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Exactly: numpy has a subclass of float.
_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Snapshot:
    """All that a checkpoint keeps, as one rank has it.

    model: its name, see `model_name`. counters: JSON-able, equal on all ranks; learner_step is among them.
    weights, trainer, config: rank 0's are written. trainer: nested dicts and lists of tensors and numbers.
    replay_arrays, replay_meta: of ReplayBuffer.state. rank_state: JSON-able, this rank's own.
    """

    model: str
    counters: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]
    trainer: Mapping[str, Any]
    config: Mapping[str, Any]
    replay_arrays: Mapping[str, np.ndarray]
    replay_meta: Mapping[str, Any]
    rank_state: Mapping[str, Any]


@dataclass(frozen=True)
class Restored:
    """A checkpoint as one rank gets it back; tensors are on the CPU.

    saved_by: of which version and when, for people. If it was saved by another number of ranks, the
    samples of all buffers are dealt out anew among the present ranks, and rank_state is None. replay_arrays may be maps
    of a file: copy, do not keep.
    """

    path: Path
    model: str
    counters: dict[str, Any]
    config: dict[str, Any]
    weights: dict[str, torch.Tensor]
    trainer: dict[str, Any]
    saved_by: str
    replay_arrays: dict[str, np.ndarray]
    replay_meta: dict[str, Any]
    rank_state: dict[str, Any] | None


@dataclass(frozen=True)
class ReleasedWeights:
    """What a player needs of a checkpoint; tensors are on the CPU."""

    weights: dict[str, torch.Tensor]
    config: dict[str, Any]
    counters: dict[str, Any]
    model: str
    path: Path


def model_name(run_name: str, model_tag: str, samples_trained: int, samples_generated: int) -> str:
    """Name a model as KataGo's are named: "quick-b3c48-s1024000-d98304"."""
    return f"{run_name}-{model_tag}-s{samples_trained}-d{samples_generated}"


class Checkpoints:
    """The checkpoints of a run that is being trained. Every method is called by all ranks together.

    last_error: why the last save failed, equal on all ranks; None if it did not.
    """

    def __init__(self, run_dir: Path, ranks: Ranks, keep_last: int) -> None:
        self._folder = run_dir / CHECKPOINTS_FOLDER
        self._ranks = ranks
        self._keep_last = keep_last
        self._newest: str | None = None
        self._origin: str | None = None  # what this process resumed from
        self.last_error: str | None = None

    @property
    def newest(self) -> str | None:
        """The name of the newest checkpoint that is whole and sound, as far as this run has seen; None before one."""
        return self._newest

    def save(self, snapshot: Snapshot) -> Path | None:
        """Write a checkpoint and remove the oldest ones beyond keep_last; returns its folder.

        The one that was restored stays in any case: with a changed config the run may learn nothing any more without
        any figure that gives it away.

        If any rank fails (disk full, no permission), returns None: the sentence is logged and in last_error, and the
        checkpoints before stay as they are.
        """
        path = self._folder / snapshot.model
        partial = self._folder / f"{PARTIAL_PREFIX}{snapshot.model}"
        if snapshot.model == self._newest:
            return path  # nothing was generated or trained on since
        try:
            self._together(lambda: self._begin(partial))
            own_files = self._together(lambda: self._write_files(partial, snapshot))
            files = _merge_records(self._ranks.gather(own_files))
            self._together(lambda: self._publish(partial, path, snapshot, files))
        except CheckpointError as error:
            is_news = self.last_error is None
            self.last_error = f"checkpoint {snapshot.model} was not saved: {error}"
            if self._ranks.is_first:
                shutil.rmtree(partial, ignore_errors=True)
                # Once: a full disk makes every later save fail, too.
                level = logging.ERROR if is_news else logging.DEBUG
                logger.log(
                    level,
                    "%s (newest checkpoint: %s) Saving is tried again from time to time.",
                    self.last_error,
                    self._newest or "none",
                )
            return None
        if self.last_error is not None and self._ranks.is_first:
            logger.info("checkpoints can be saved again")
        self.last_error = None
        self._newest = snapshot.model
        if self._ranks.is_first:
            self._remove_oldest(path)
        return path

    def restore(self, take: Callable[[Restored], None] | None = None) -> Restored | None:
        """Return the newest checkpoint that is whole and that `take` accepts, or None if the run has none yet.

        take: loads it into the parts of this rank; ValueError, KeyError or TypeError for content that is of no use.
        Broken ones are reported and passed over; what an interrupted save left is removed. Raises UserError if there
        are checkpoints and none is usable.
        """
        if self._ranks.is_first:
            for leftover in self._folder.glob(f"{PARTIAL_PREFIX}*"):
                logger.info("removing %s, which an interrupted save left", leftover)
                with suppress(OSError):
                    remove(leftover)
        names = self._ranks.broadcast([path.name for path in newest_first(self._folder)])
        problem = ""
        for name in names:
            try:
                return self._restore(self._folder / name, take)
            except CheckpointError as error:
                problem = str(error)
                if self._ranks.is_first:
                    logger.warning("checkpoint %s is passed over: %s", name, error)
        require(
            not names,
            f"{self._folder} holds checkpoints, but none that is usable (of the last one that was tried, {problem}) "
            "Move that folder away to start anew, or choose another run_name.",
        )
        return None

    # ------------------------------------------------------------------ saving

    def _begin(self, partial: Path) -> None:
        """Rank 0: make an empty folder aside."""
        if self._ranks.is_first:
            remove(partial)
            partial.mkdir(parents=True)

    def _write_files(self, partial: Path, snapshot: Snapshot) -> dict[str, list[int]]:
        """Write this rank's files; returns name -> [size_bytes, crc32]."""
        rank = self._ranks.rank
        rank_state = {"rank_state": snapshot.rank_state, "replay_meta": snapshot.replay_meta}
        files = {
            replay_file(rank): write_arrays(partial / replay_file(rank), snapshot.replay_arrays),
            rank_file(rank): write_json(partial / rank_file(rank), rank_state),
        }
        if self._ranks.is_first:
            _check_sane(partial, snapshot.weights, snapshot.trainer)
            weights = {
                name: tensor.detach().cpu().contiguous()
                for name, tensor in snapshot.weights.items()
            }
            config = config_text(snapshot.config)
            files[WEIGHTS_FILE] = write_bytes(partial / WEIGHTS_FILE, tensors_to_bytes(weights))
            files[CONFIG_FILE] = write_bytes(partial / CONFIG_FILE, config.encode())
            files[TRAINER_FILE] = write_file(
                partial / TRAINER_FILE, lambda file: torch.save(snapshot.trainer, file)
            )
            _check_trainer_state(snapshot.trainer)
        return {name: [record.size_bytes, record.crc32] for name, record in files.items()}

    def _publish(
        self, partial: Path, path: Path, snapshot: Snapshot, files: dict[str, FileRecord]
    ) -> None:
        """Rank 0: seal the folder and give it its name."""
        if not self._ranks.is_first:
            return
        # Other nodes' files, too: are they really in this folder?
        for name, record in files.items():
            check_size(partial, name, record)
        world_size = self._ranks.world_size
        write_manifest(partial, new_manifest(snapshot.model, snapshot.counters, world_size, files))
        sync_folder(partial)
        if os.path.lexists(path):  # it was passed over
            self._set_aside(path)
        partial.rename(path)
        sync_folder(self._folder)

    def _remove_oldest(self, newest: Path) -> None:
        """Keep the newest keep_last up to the one just saved. Folders that were renamed by hand are not ours."""
        ages = {}
        for path in newest_first(self._folder):
            with suppress(CheckpointError):
                manifest = read_manifest(path)
                if manifest.model == path.name:
                    ages[path] = manifest.age
        kept = sorted((path for path in ages if ages[path] <= ages[newest]), key=ages.__getitem__)
        for path in set(ages) - set(kept[-self._keep_last :]):
            if path.name == self._origin:
                continue
            try:
                if path in kept:
                    # Renamed first: a removal that is cut short leaves no folder that looks like a checkpoint.
                    hidden = path.with_name(f"{PARTIAL_PREFIX}removed-{path.name}")
                    shutil.rmtree(path.rename(hidden))
                else:
                    self._set_aside(path)
            except OSError as error:  # must not stop a training; the next save tries again
                logger.warning("cannot remove the old checkpoint %s: %s", path, error)

    def _set_aside(self, path: Path) -> None:
        """Move a checkpoint that was passed over out of the way of the line that the run follows now.

        Not removed: a single file of it may be damaged, or what damaged it may have been this machine's.
        """
        folder = self._folder / PASSED_OVER_FOLDER
        folder.mkdir(exist_ok=True)
        names = (path.name, *(f"{path.name}-{number}" for number in range(2, 1000)))
        aside = next(folder / name for name in names if not os.path.lexists(folder / name))
        path.rename(aside)
        logger.warning("checkpoint %s was passed over: it now lies in %s", path.name, aside)

    # --------------------------------------------------------------- restoring

    def _restore(self, path: Path, take: Callable[[Restored], None] | None) -> Restored:
        """Read one checkpoint at every rank. Raises CheckpointError at every rank if anything in it is broken."""
        manifest = self._together(lambda: self._check_share(path))
        restored = self._together(lambda: self._read(path, manifest))
        if take is not None:
            self._together(lambda: _take(take, restored))
        self._newest = self._origin = path.name
        return restored

    def _check_share(self, path: Path) -> Manifest:
        """Verify this rank's share of the files: together the ranks read each byte once."""
        manifest = read_manifest(path)
        names = sorted(manifest.files)[self._ranks.rank :: self._ranks.world_size]
        for name in names:
            check_file(path, name, manifest.files[name])
        return manifest

    def _read(self, path: Path, manifest: Manifest) -> Restored:
        """Read what this rank needs; the files are known to be whole."""
        with _broken_content(path):
            states = [_read_rank(path, rank) for rank in range(manifest.world_size)]
            same_world = manifest.world_size == self._ranks.world_size
            if not same_world:
                _check_alike([replay for replay, _ in states])
            replay = redistribute(
                [replay for replay, _ in states], self._ranks.world_size, self._ranks.rank
            )
            restored = Restored(
                path=path,
                model=manifest.model,
                counters=manifest.counters,
                config=read_yaml(path / CONFIG_FILE),
                weights=read_tensors(path / WEIGHTS_FILE),
                trainer=_read_trainer(path),
                saved_by=manifest.saved_by,
                replay_arrays=replay.arrays,
                replay_meta=replay.meta,
                rank_state=states[self._ranks.rank][1] if same_world else None,
            )
        _check_sane(path, restored.weights, restored.trainer)
        if self._ranks.is_first and not same_world:
            _tell_of_redistribution(manifest, [replay for replay, _ in states], self._ranks)
        return restored

    def _together(self, step: Callable[[], T]) -> T:
        """Do a step at this rank and learn how it went elsewhere. Raises CheckpointError everywhere if anywhere."""
        problem = advice = ""
        try:
            result = step()
        except CheckpointError as error:
            problem = str(error)
        except OSError as error:
            where = f"rank {self._ranks.rank} on {self._ranks.node}"
            problem = f"{error.filename or self._folder}: {error.strerror} ({where})."
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                advice = "Free some space; checkpoint.keep_last says how many checkpoints stay."
        problems, advices = zip(*self._ranks.gather([problem, advice]), strict=True)
        if any(problems):
            raise CheckpointError(" ".join(dict.fromkeys(filter(None, problems + advices))))
        return result


def load_weights(path: Path | str) -> ReleasedWeights:
    """Load what a player needs, from a checkpoint's folder or from a run's (then the newest whole one).

    Reads and verifies only weights and config. Raises UserError if there is none that is usable.
    """
    path = Path(path)
    if (path / MANIFEST_FILE).exists():
        candidates = [path]
    else:
        candidates = newest_first(path / CHECKPOINTS_FOLDER)
        require(
            bool(candidates),
            f"{path} is neither a checkpoint (a folder with {MANIFEST_FILE}) nor a run that has one yet "
            f"({CHECKPOINTS_FOLDER}/<model>/).",
        )
    problems = []
    for candidate in candidates:
        try:
            return _load_weights(candidate)
        except CheckpointError as error:
            logger.warning("checkpoint %s is passed over: %s", candidate.name, error)
            problems.append(str(error))
    raise UserError(f"{path} holds no usable checkpoint: {' '.join(problems)}")


def _load_weights(path: Path) -> ReleasedWeights:
    manifest = read_manifest(path)
    with _broken_content(path):
        for name in (WEIGHTS_FILE, CONFIG_FILE):
            check_file(path, name, manifest.files[name])
        weights = read_tensors(path / WEIGHTS_FILE)
        _check_sane(path, weights)
        config = read_yaml(path / CONFIG_FILE)
    return ReleasedWeights(weights, config, manifest.counters, manifest.model, path)


def _read_rank(path: Path, rank: int) -> tuple[ReplayState, dict[str, Any]]:
    """Return a rank's buffer, mapped, and its own state. Raises ValueError unless both are of their types."""
    document = read_json(path / rank_file(rank))
    groups = ("replay_meta", "rank_state")
    if not (isinstance(document, dict) and all(isinstance(document.get(g), dict) for g in groups)):
        raise ValueError(f"{rank_file(rank)} lacks replay_meta or rank_state")
    arrays = map_arrays(path / replay_file(rank))
    return ReplayState(arrays, document["replay_meta"]), document["rank_state"]


def _read_trainer(path: Path) -> dict[str, Any]:
    state = read_torch(path / TRAINER_FILE)
    if not isinstance(state, dict):
        raise ValueError(
            f"{TRAINER_FILE} holds a {type(state).__name__}, not the state of an updater"
        )
    return state


def _check_alike(states: list[ReplayState]) -> None:
    """Raise ValueError unless buffers can be dealt out anew: the same fields, each with one number of rows."""
    layouts = []
    for rank, state in enumerate(states):
        layouts.append({name: (a.dtype, a.shape[1:]) for name, a in state.arrays.items()})
        num_rows = {len(array) if array.ndim else -1 for array in state.arrays.values()}
        counts = (state.meta.get("num_inserted"), state.meta.get("num_sampled"))
        if not (len(num_rows) == 1 and min(num_rows) >= 0 and all(map(is_count, counts))):
            raise ValueError(f"the replay buffer of rank {rank} has no sound number of samples")
    if any(layout != layouts[0] for layout in layouts):
        raise ValueError("the replay buffers of its ranks hold different fields")


def _check_trainer_state(state: Any) -> None:
    """Raise RuntimeError for what `read_torch` would refuse: it must show now, not when the run is resumed."""
    if isinstance(state, Mapping):
        state = list(state.values())
    if isinstance(state, (list, tuple)):
        for entry in state:
            _check_trainer_state(entry)
    elif not (is_dense(state) if isinstance(state, torch.Tensor) else type(state) in _PLAIN):
        raise RuntimeError(
            f"the algorithm's state() holds a {type(state).__name__}: a checkpoint takes nested dicts and lists of "
            "dense tensors, numbers and text."
        )


def _check_sane(
    path: Path, weights: Mapping[str, torch.Tensor], trainer: Mapping[str, Any] | None = None
) -> None:
    """Raise CheckpointError for weights or a trainer's state that nobody can play or go on with."""
    if problem := weights_problem({**weights, **state_tensors(trainer or {})}):
        raise CheckpointError(f"{path} is of a training that has diverged: {problem}.")


def _take(take: Callable[[Restored], None], restored: Restored) -> None:
    with _broken_content(restored.path):
        take(restored)


@contextmanager
def _broken_content(path: Path) -> Iterator[None]:
    """Turn what a file's content makes its reader raise into a CheckpointError; other UserErrors pass."""
    try:
        yield
    except UnreadableFileError as error:
        raise CheckpointError(str(error)) from None
    except (UserError, CheckpointError, torch.OutOfMemoryError):
        raise
    except (
        *(ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError),
        RuntimeError,  # of torch, where a plugin leaves the checks to it
    ) as error:
        text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise CheckpointError(f"{path} has content that cannot be used: {text[:400]}.") from None


def _tell_of_redistribution(manifest: Manifest, states: list[ReplayState], ranks: Ranks) -> None:
    num_samples = sum(len(next(iter(state.arrays.values()))) for state in states)
    logger.warning(
        "%s was saved by %d ranks and goes on with %d: the %d samples of all replay buffers are dealt out anew, about "
        "%d a rank, ordered by age; every rank draws with new random numbers.",
        manifest.model,
        manifest.world_size,
        ranks.world_size,
        num_samples,
        num_samples // ranks.world_size,
    )


def _merge_records(rows: list[dict[str, list[int]]]) -> dict[str, FileRecord]:
    return {name: FileRecord(*record) for row in rows for name, record in row.items()}
