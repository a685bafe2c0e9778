"""Saves a rank's parts as checkpoints when they are due, and loads the newest usable one when a run is resumed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddpzero.replay import ReplayBuffer, ReplayState, samples_size_bytes
from ddpzero.replay.buffer import HELD_OUT, ORIGIN
from ddpzero.replay.origin import MAX_ROWS, ShardKey
from ddpzero.run.checkpoint import (
    Checkpoints,
    Restored,
    Snapshot,
    model_name,
    weights_to_bytes,
)
from ddpzero.run.checkpoint_content import episodes_of, shards_of
from ddpzero.run.checkpoint_files import CHECKPOINTS_FOLDER, CheckpointError, newest_first
from ddpzero.run.divergence import state_tensors
from ddpzero.run.episode_store import EpisodeStore, remove_surplus
from ddpzero.run.folder import config_changes, config_text, foreign_config
from ddpzero.run.initial_weights import load_initial_weights
from ddpzero.run.models import save_model
from ddpzero.run.random_state import random_state, restore_random_state
from ddpzero.run.shard import EPISODES_FOLDER, read_shard, shard_path
from ddpzero.settings import Settings
from ddpzero.system.errors import require
from ddpzero.system.outage import Outage
from ddpzero.system.tensors import shape_mismatch
from ddpzero.training.checkpoint_schedule import CheckpointSchedule
from ddpzero.training.counters import Counters, check_samples, counters_from_checkpoint
from ddpzero.training.parts import Parts
from ddpzero.training.state import RunState

logger = logging.getLogger(__name__)

# In the counters of a rank's buffer: the number of its first shard after the checkpoint.
_NEXT_SHARD = "next_shard"
# Samples that are in no shard are written so many at a time.
_LOOSE_BYTES = 32 << 20

# Checks the weights that are about to be saved; raises DivergenceError on every rank.
CheckWeights = Callable[[dict[str, torch.Tensor]], None]


class Checkpointing:
    """The checkpoints of one run. `save` and `restore` are collectives.

    config: `settings` as nested plain values, stored in each checkpoint.
    """

    def __init__(
        self,
        run_dir: Path,
        settings: Settings,
        config: Mapping[str, Any],
        parts: Parts,
        state: RunState,
        store: EpisodeStore,
    ) -> None:
        self.schedule = CheckpointSchedule(settings.checkpoint)
        self._checkpoints = Checkpoints(run_dir, state.ranks, settings.checkpoint.keep_last)
        self._run_dir = run_dir
        self._settings = settings
        self._config = config
        self._parts = parts
        self._state = state
        self._store = store
        self._shards_of: dict[Path, set[ShardKey]] = {}
        self._outage = Outage("old episodes", "cannot be removed", "can be removed again")
        self._saved_model = ""

    @property
    def newest(self) -> str:
        """The name of the newest complete checkpoint with sound weights; "" before the first one."""
        return self._checkpoints.newest or ""

    @property
    def last_error(self) -> str | None:
        """The reason why the last save failed; None if it succeeded."""
        return self._checkpoints.last_error

    # ------------------------------------------------------------------ saving

    def save(self, check: CheckWeights) -> str:
        """Save everything, all ranks together; return the name of the new checkpoint, or "".

        It is "" if saving failed, or if the checkpoint of this model exists already.
        """
        started = time.monotonic()
        self._store.begin_flush()
        weights, trainer = self._parts.updater.released_weights(), self._parts.updater.state()
        check({**weights, **state_tensors(trainer)})
        path = self._checkpoints.save(self._snapshot(weights, trainer))
        self.schedule.note_save(time.monotonic() - started, path is not None)
        if path is None or path.name == self._saved_model:
            return ""
        self._saved_model = self._store.model = path.name
        logger.info("checkpoint %s", path.name)
        if self._state.ranks.is_first:
            self._remove_surplus_episodes()
        return path.name

    def save_model(self) -> str:
        """Save the released weights as a model of the run, all ranks together; return its name. See run/models.py."""
        state, name = self._state, self._model_name()
        problem = ""
        if state.ranks.is_first:
            weights = weights_to_bytes(self._parts.updater.released_weights())
            config = config_text(self._config).encode()
            try:
                save_model(self._run_dir, name, weights, config, asdict(state.counters))
            except OSError as error:
                problem = f"{error.filename}: {error.strerror}."
        if problem := state.ranks.broadcast(problem):
            raise CheckpointError(f"model {name} was not saved: {problem}")
        return name

    def _model_name(self) -> str:
        counters = self._state.counters
        return model_name(
            self._settings.run_name,
            self._parts.updater.size_tag() or self._parts.algorithm.model_tag(),
            counters.samples_trained,
            counters.samples,
        )

    def _snapshot(
        self, weights: Mapping[str, torch.Tensor], trainer: Mapping[str, Any]
    ) -> Snapshot:
        return Snapshot(
            model=self._model_name(),
            counters=asdict(self._state.counters),
            weights=weights,
            trainer=trainer,
            config=self._config,
            replay=self._stored_samples,
            rank_state=random_state(),
        )

    def _stored_samples(self) -> ReplayState:
        """Return the state of the buffer once all its samples are in shards on disk. Raises OSError.

        Samples that are in none are stored now: those of shards that could not be written, and of checkpoints of format
        1.
        """
        buffer, store = self._parts.buffer, self._store
        self._parts.feeder.forget()
        # The samples of a shard that could not be written are stored again below.
        with suppress(OSError):
            store.flush()
        if lost := store.take_lost():
            buffer.forget_origins(lost)
        ages = buffer.without_origin()
        rows_at_once = max(1, _LOOSE_BYTES // samples_size_bytes(buffer.spec, 1))
        for start in range(0, len(ages), min(rows_at_once, MAX_ROWS)):
            chunk = ages[start : start + min(rows_at_once, MAX_ROWS)]
            columns = buffer.read(chunk)
            is_held_out = columns.pop(HELD_OUT)
            origin = store.add_samples(columns, is_held_out)
            store.flush()
            buffer.set_origins(chunk, origin)
        state = buffer.state()
        state.meta[_NEXT_SHARD] = store.next_number
        return state

    def _remove_surplus_episodes(self) -> None:
        """Remove the oldest episodes on disk beyond store.keep, all ranks' together."""
        keep = self._settings.store.keep
        if keep is None:
            return
        paths = newest_first(self._run_dir / CHECKPOINTS_FOLDER)
        self._shards_of = {path: self._shards_of.get(path) or shards_of(path) for path in paths}
        needed = set().union(*self._shards_of.values())
        with self._outage.watch():
            remove_surplus(
                self._run_dir / EPISODES_FOLDER, keep * 2**30, needed, self._state.ranks.world_size
            )

    # --------------------------------------------------------------- restoring

    def restore(self) -> None:
        """Resume from the newest usable checkpoint, all ranks together; without checkpoints start a new run.

        A new run starts from init_from if that is set. Raises UserError if there are checkpoints and none is usable, or
        if init_from does not fit.
        """
        restored = self._checkpoints.restore(self._load)
        if self._state.plays_rounds and (restored is None or restored.rank_state is not None):
            # The rounds after the checkpoint are played again, with the same episodes.
            self._store.remove_from(restored.replay.meta.get(_NEXT_SHARD, 0) if restored else 0)
        if restored is None:
            self._begin()
            return
        # The samples of the round could not be restored: play it again.
        if self._state.ranks.any_rank(self._parts.buffer.num_samples == 0):
            self._state.require_new_round()
        self._saved_model = self._store.model = restored.model
        self.schedule.note_minute(self._state.counters.minutes)
        logger.info("resumed from %s", restored.path)

    def _begin(self) -> None:
        source, updater = self._settings.init_from, self._parts.updater
        if source is not None:
            expected, runs_dir = updater.released_weights(), Path(self._settings.runs_dir)
            updater.start_from(load_initial_weights(source, runs_dir, expected, self._state.ranks))

    def _load(self, restored: Restored) -> None:
        """Load a checkpoint into this rank's parts. What does not fit a changed config starts over, with a warning.

        Raises UserError if its config has other networks; ValueError, KeyError or TypeError if it is unusable.
        """
        changes = self._accepted_changes(restored)
        counters = counters_from_checkpoint(restored.counters, restored.model)
        self._parts.updater.take_size_of(restored.weights)
        self._require_same_networks(restored, changes)
        warnings = list(self._parts.updater.load_state(restored.trainer))
        try:
            warnings += self._load_samples(restored, counters, is_changed=bool(changes))
        except ValueError as error:
            if not changes:
                raise
            self._parts.buffer.clear()
            warnings.append(f"the replay buffer begins empty, for its samples do not fit: {error}")
        if restored.rank_state is not None:
            restore_random_state(restored.rank_state)
        self._state.go_on_from(counters)
        if self._state.ranks.is_first:
            for warning in warnings:
                logger.warning("%s", warning)

    def _accepted_changes(self, restored: Restored) -> list[str]:
        """Return the differences of a checkpoint's config from this one. Raises ValueError for that of another run."""
        _, changes = config_changes(restored.config, self._config)
        may_change = self._settings.checkpoint.allow_config_change
        if changes and not may_change:
            problem = foreign_config(restored.config, self._config)
            if problem:
                raise ValueError(f"its config is not of this run ({problem})")
        return changes

    def _require_same_networks(self, restored: Restored, changes: list[str]) -> None:
        mismatch = shape_mismatch(restored.weights, self._parts.updater.released_weights())
        if not mismatch:
            return
        problem = f"its networks are not those of this config ({mismatch})"
        require(
            not changes,
            f"{restored.path} of {restored.saved_by} cannot go on with this config, {problem}. Start it with the "
            "config (and the version of ddpzero) it had, or choose another run_name:\n  "
            + "\n  ".join(changes),
        )
        raise ValueError(
            f"{problem}: {restored.saved_by} built them in another way, or the game's file was another one; train "
            "on with that version"
        )

    def _load_samples(self, restored: Restored, counters: Counters, is_changed: bool) -> list[str]:
        """Load the samples; with a changed config adapt them to its sample spec, and return a warning for each change.

        Raises ValueError if they do not fit.
        """
        buffer, replay, warnings = self._parts.buffer, restored.replay, list[str]()
        if ORIGIN in replay.arrays:
            # 0 in a checkpoint of a version that did not count them.
            max_version = counters.weights_version or np.iinfo(np.int32).max
            shards = StoredColumns(episodes_of(restored.path), buffer, max_version)
            problems = buffer.restore_from_shards(replay, shards.load)
            newest_version = 0
            warnings = shards.changes if is_changed else []
            if problems:
                num_lost = min(len(replay.arrays[ORIGIN]), buffer.capacity) - buffer.num_samples
                warnings = [_lost_samples(problems, num_lost), *warnings]
        else:
            arrays = replay.arrays
            newest_version = int(arrays["weights_version"].max(initial=0))
            if is_changed:
                arrays, warnings = buffer.adapted(arrays)
            buffer.restore(arrays, replay.meta)
        check_samples(counters, buffer.num_inserted, buffer.num_sampled, newest_version)
        return warnings


def _lost_samples(problems: Sequence[str], num_lost: int) -> str:
    more = f" ({len(problems) - 1} more shards are unusable, too)" if len(problems) > 1 else ""
    return f"{num_lost:,} samples of the replay buffer are lost: {problems[0]}{more}"


class StoredColumns:
    """Loads the columns of shards for a buffer. max_version: of the weights that played them.

    changes: a sentence on each difference of a shard's columns from the buffer's; see adapted_columns.
    """

    def __init__(self, folder: Path, buffer: ReplayBuffer, max_version: int) -> None:
        self._folder = folder
        self._buffer = buffer
        self._max_version = max_version
        self.changes: list[str] = []

    def load(self, key: ShardKey) -> dict[str, np.ndarray]:
        """Return the columns of a shard. Raises ValueError, such as UnreadableFileError, for an unusable one."""
        path = shard_path(self._folder, key)
        columns = read_shard(path).columns
        newest = columns["weights_version"].max(initial=0) if "weights_version" in columns else 0
        require(
            newest <= self._max_version,
            f"{path}: a sample is of weights_version {newest}, of {self._max_version}.",
        )
        adapted, changes = self._buffer.adapted(columns)
        self.changes = list(dict.fromkeys([*self.changes, *changes]))
        return {name: column for name, column in adapted.items() if name != HELD_OUT}
