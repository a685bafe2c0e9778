"""Checkpoints of a run, `runs/<run_name>/checkpoints/<model>/`: saved and restored by all ranks together.

    weights.safetensors            the weights that actors play with; a player needs only these and config.yaml
    trainer.pt                     the updater's state (optimizer, raw weights, ...); torch.load with weights_only
    replay-rank<r>.safetensors     the samples of each rank's buffer, as rows of the shards in episodes/ (shard.py)
    rank<r>.json                   each rank's random generators and the buffer's counters
    config.yaml, manifest.json     the resolved config; sizes and checksums of all files, written last

A resume skips damaged checkpoints; the next save moves them to `checkpoints/.passed-over/`.
A checkpoint is written to `.partial-<model>` and renamed once it is complete and on disk, so a process that is killed
at any moment leaves the previous checkpoint intact. Called by the learner; players use checkpoint_content.py.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save as tensors_to_bytes

from ddpzero.replay import ReplayState, redistribute
from ddpzero.run.checkpoint_content import (
    broken_content,
    check_alike,
    check_sane,
    packed,
    read_rank,
    read_trainer,
)
from ddpzero.run.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
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
from ddpzero.run.folder import config_text
from ddpzero.run.ranks import Ranks
from ddpzero.system.errors import require
from ddpzero.system.guarded_files import (
    is_dense,
    read_tensors,
    read_yaml,
)
from ddpzero.system.whole_files import remove

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Compared by identity: numpy has a subclass of float.
_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Snapshot:
    """The content of a checkpoint, as one rank contributes it.

    model: the checkpoint's name, see `model_name`. counters: JSON-able, equal on all ranks, with learner_step.
    weights, trainer, config: rank 0's are written. trainer: nested dicts and lists of tensors and numbers.
    replay: returns the ReplayBuffer's state once all of its samples are in shards on disk; may raise OSError.
    rank_state: JSON-able, specific to this rank.
    """

    model: str
    counters: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]
    trainer: Mapping[str, Any]
    config: Mapping[str, Any]
    replay: Callable[[], ReplayState]
    rank_state: Mapping[str, Any]


@dataclass(frozen=True)
class Restored:
    """A checkpoint as one rank restores it; tensors are on the CPU.

    saved_by: the version and the date that saved it, for people. If a different number of ranks saved it, the samples
    of all buffers are redistributed among the current ranks, and rank_state is None. replay: in format 1, its arrays
    may be memory maps of a file: copy them, do not keep them.
    """

    path: Path
    model: str
    counters: dict[str, Any]
    config: dict[str, Any]
    weights: dict[str, torch.Tensor]
    trainer: dict[str, Any]
    saved_by: str
    replay: ReplayState
    rank_state: dict[str, Any] | None


def model_name(run_name: str, model_tag: str, samples_trained: int, samples_generated: int) -> str:
    """Name a model as KataGo's are named: "quick-b3c48-s1024000-d98304"."""
    return f"{run_name}-{model_tag}-s{samples_trained}-d{samples_generated}"


def weights_to_bytes(weights: Mapping[str, torch.Tensor]) -> bytes:
    """Return the content of WEIGHTS_FILE."""
    return tensors_to_bytes(
        {n: tensor.detach().cpu().contiguous() for n, tensor in weights.items()}
    )


class Checkpoints:
    """The checkpoints of a run in training. All ranks call every method together.

    last_error: why the last save failed, equal on all ranks; None after a successful one.
    """

    def __init__(self, run_dir: Path, ranks: Ranks, keep_last: int) -> None:
        self._folder = run_dir / CHECKPOINTS_FOLDER
        self._ranks = ranks
        self._keep_last = keep_last
        self._newest: str | None = None
        # The checkpoint that this process resumed from.
        self._origin: str | None = None
        self.last_error: str | None = None

    @property
    def newest(self) -> str | None:
        """The name of the newest complete checkpoint that this process saved or restored; None before the first."""
        return self._newest

    def save(self, snapshot: Snapshot) -> Path | None:
        """Write a checkpoint, remove the oldest ones beyond keep_last, and return the new checkpoint's folder.

        The restored checkpoint is never removed: after a change of the config, the run may stop learning without any
        metric that shows it.

        If any rank fails (disk full, no permission), log the reason, store it in last_error, leave the previous
        checkpoints as they are, and return None.
        """
        path = self._folder / snapshot.model
        partial = self._folder / f"{PARTIAL_PREFIX}{snapshot.model}"
        # The same name: nothing was generated or trained on since the last save.
        if snapshot.model == self._newest:
            return path
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
                # Log it once: on a full disk every later save fails as well.
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
        """Return the newest complete checkpoint that `take` accepts, or None if the run has no checkpoint yet.

        take: loads the checkpoint into the parts of this rank; raises ValueError, KeyError or TypeError for unusable
        content. Log and skip damaged checkpoints; remove the files of an interrupted save. Raises UserError if there
        are checkpoints but none is usable.
        """
        if self._ranks.is_first:
            for leftover in self._folder.glob(f"{PARTIAL_PREFIX}*"):
                logger.info("removing %s, left by an interrupted save", leftover)
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
                    logger.warning("skipped checkpoint %s: %s", name, error)
        require(
            not names,
            f"{self._folder} contains no usable checkpoint. The last one tried: {problem} Move that folder away to "
            "start from scratch, or choose another run_name.",
        )
        return None

    # ------------------------------------------------------------------ saving

    def _begin(self, partial: Path) -> None:
        """Rank 0: create an empty temporary folder."""
        if self._ranks.is_first:
            remove(partial)
            partial.mkdir(parents=True)

    def _write_files(self, partial: Path, snapshot: Snapshot) -> dict[str, list[int]]:
        """Write this rank's files and return name -> [size_bytes, crc32]."""
        rank = self._ranks.rank
        replay = snapshot.replay()
        rank_state = {"rank_state": snapshot.rank_state, "replay_meta": replay.meta}
        files = {
            replay_file(rank): write_arrays(partial / replay_file(rank), packed(replay)),
            rank_file(rank): write_json(partial / rank_file(rank), rank_state),
        }
        if self._ranks.is_first:
            check_sane(partial, snapshot.weights, snapshot.trainer)
            weights = weights_to_bytes(snapshot.weights)
            config = config_text(snapshot.config)
            files[WEIGHTS_FILE] = write_bytes(partial / WEIGHTS_FILE, weights)
            files[CONFIG_FILE] = write_bytes(partial / CONFIG_FILE, config.encode())
            files[TRAINER_FILE] = write_file(
                partial / TRAINER_FILE, lambda file: torch.save(snapshot.trainer, file)
            )
            _check_trainer_state(snapshot.trainer)
        return {name: [record.size_bytes, record.crc32] for name, record in files.items()}

    def _publish(
        self, partial: Path, path: Path, snapshot: Snapshot, files: dict[str, FileRecord]
    ) -> None:
        """Rank 0: write the manifest and rename the folder to its final name."""
        if not self._ranks.is_first:
            return
        # This includes the files of other nodes, which may have written to a different folder.
        for name, record in files.items():
            check_size(partial, name, record)
        world_size = self._ranks.world_size
        write_manifest(partial, new_manifest(snapshot.model, snapshot.counters, world_size, files))
        sync_folder(partial)
        # The restore skipped this checkpoint, or it would be the newest one.
        if os.path.lexists(path):
            self._set_aside(path)
        partial.rename(path)
        sync_folder(self._folder)

    def _remove_oldest(self, newest: Path) -> None:
        """Keep the newest keep_last checkpoints up to the one just saved; ignore folders that were renamed by hand."""
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
                    # Rename first: an interrupted removal must not leave a folder that looks like a checkpoint.
                    hidden = path.with_name(f"{PARTIAL_PREFIX}removed-{path.name}")
                    shutil.rmtree(path.rename(hidden))
                else:
                    self._set_aside(path)
            # This must not stop the training; the next save tries again.
            except OSError as error:
                logger.warning("cannot remove the old checkpoint %s: %s", path, error)

    def _set_aside(self, path: Path) -> None:
        """Move a skipped checkpoint out of the run's sequence of checkpoints.

        It is not removed: only one of its files may be damaged, or the fault may be this machine's.
        """
        folder = self._folder / PASSED_OVER_FOLDER
        folder.mkdir(exist_ok=True)
        names = (path.name, *(f"{path.name}-{number}" for number in range(2, 1000)))
        aside = next(folder / name for name in names if not os.path.lexists(folder / name))
        path.rename(aside)
        logger.warning("moved the skipped checkpoint %s to %s", path.name, aside)

    # --------------------------------------------------------------- restoring

    def _restore(self, path: Path, take: Callable[[Restored], None] | None) -> Restored:
        """Read one checkpoint at every rank. Raises CheckpointError at every rank if any of it is damaged."""
        manifest = self._together(lambda: self._check_share(path))
        restored = self._together(lambda: self._read(path, manifest))
        if take is not None:
            self._together(lambda: _take(take, restored))
        self._newest = self._origin = path.name
        return restored

    def _check_share(self, path: Path) -> Manifest:
        """Verify this rank's share of the files; together the ranks read each byte once."""
        manifest = read_manifest(path)
        if manifest.world_size == 0:
            raise CheckpointError(
                f"{path} is a model: it has no state from which a training could continue."
            )
        names = sorted(manifest.files)[self._ranks.rank :: self._ranks.world_size]
        for name in names:
            check_file(path, name, manifest.files[name])
        return manifest

    def _read(self, path: Path, manifest: Manifest) -> Restored:
        """Read what this rank needs; the checksums have been verified."""
        with broken_content(path):
            states = [read_rank(path, rank) for rank in range(manifest.world_size)]
            same_world = manifest.world_size == self._ranks.world_size
            if not same_world:
                check_alike([replay for replay, _ in states])
            replay = redistribute(
                [replay for replay, _ in states], self._ranks.world_size, self._ranks.rank
            )
            restored = Restored(
                path=path,
                model=manifest.model,
                counters=manifest.counters,
                config=read_yaml(path / CONFIG_FILE),
                weights=read_tensors(path / WEIGHTS_FILE),
                trainer=read_trainer(path),
                saved_by=manifest.saved_by,
                replay=replay,
                rank_state=states[self._ranks.rank][1] if same_world else None,
            )
        check_sane(path, restored.weights, restored.trainer)
        if self._ranks.is_first and not same_world:
            _log_redistribution(manifest, [replay for replay, _ in states], self._ranks)
        return restored

    def _together(self, step: Callable[[], T]) -> T:
        """Run a step at every rank. Raises CheckpointError at every rank if it failed at any."""
        problem = advice = ""
        try:
            result = step()
        except CheckpointError as error:
            problem = str(error)
        except OSError as error:
            where = f"rank {self._ranks.rank} on {self._ranks.node}"
            problem = f"{error.filename or self._folder}: {error.strerror} ({where})."
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                advice = "Free some space; checkpoint.keep_last sets how many checkpoints are kept."
        problems, advices = zip(*self._ranks.gather([problem, advice]), strict=True)
        if any(problems):
            raise CheckpointError(" ".join(dict.fromkeys(filter(None, problems + advices))))
        return result


def _check_trainer_state(state: Any) -> None:
    """Raise RuntimeError for a state that `read_torch` would refuse, so that it shows before a resume needs it."""
    if isinstance(state, Mapping):
        state = list(state.values())
    if isinstance(state, (list, tuple)):
        for entry in state:
            _check_trainer_state(entry)
    elif not (is_dense(state) if isinstance(state, torch.Tensor) else type(state) in _PLAIN):
        raise RuntimeError(
            f"the algorithm's state() contains a {type(state).__name__}: a checkpoint stores nested dicts and lists of "
            "dense tensors, numbers and text."
        )


def _take(take: Callable[[Restored], None], restored: Restored) -> None:
    with broken_content(restored.path):
        take(restored)


def _log_redistribution(manifest: Manifest, states: list[ReplayState], ranks: Ranks) -> None:
    num_samples = sum(len(next(iter(state.arrays.values()))) for state in states)
    logger.warning(
        "%s was saved with world size %d and continues with world size %d: the %d samples of all replay buffers are "
        "redistributed, about %d per rank, ordered by age; every rank samples with new random numbers.",
        manifest.model,
        manifest.world_size,
        ranks.world_size,
        num_samples,
        num_samples // ranks.world_size,
    )


def _merge_records(rows: list[dict[str, list[int]]]) -> dict[str, FileRecord]:
    return {name: FileRecord(*record) for row in rows for name, record in row.items()}
