"""Saves a rank's parts as checkpoints when they are due, and loads the newest usable one when a run is resumed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ddpzero.run.checkpoint import (
    Checkpoints,
    Restored,
    Snapshot,
    model_name,
    weights_to_bytes,
)
from ddpzero.run.checkpoint_files import CheckpointError
from ddpzero.run.divergence import state_tensors
from ddpzero.run.folder import config_changes, config_text, foreign_config
from ddpzero.run.initial_weights import load_initial_weights
from ddpzero.run.models import save_model
from ddpzero.run.random_state import random_state, restore_random_state
from ddpzero.settings import Settings
from ddpzero.system.errors import require
from ddpzero.system.tensors import shape_mismatch
from ddpzero.training.checkpoint_schedule import CheckpointSchedule
from ddpzero.training.counters import Counters, check_samples, counters_from_checkpoint
from ddpzero.training.parts import Parts
from ddpzero.training.state import RunState

logger = logging.getLogger(__name__)

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
    ) -> None:
        self.schedule = CheckpointSchedule(settings.checkpoint)
        self._checkpoints = Checkpoints(run_dir, state.ranks, settings.checkpoint.keep_last)
        self._run_dir = run_dir
        self._settings = settings
        self._config = config
        self._parts = parts
        self._state = state
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
        weights, trainer = self._parts.updater.released_weights(), self._parts.updater.state()
        check({**weights, **state_tensors(trainer)})
        path = self._checkpoints.save(self._snapshot(weights, trainer))
        self.schedule.note_save(time.monotonic() - started, path is not None)
        if path is None or path.name == self._saved_model:
            return ""
        self._saved_model = path.name
        logger.info("checkpoint %s", path.name)
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
        counters = self._state.counters
        replay = self._parts.buffer.state()
        return Snapshot(
            model=self._model_name(),
            counters=asdict(counters),
            weights=weights,
            trainer=trainer,
            config=self._config,
            replay_arrays=replay.arrays,
            replay_meta=replay.meta,
            rank_state=random_state(),
        )

    # --------------------------------------------------------------- restoring

    def restore(self) -> None:
        """Resume from the newest usable checkpoint, all ranks together; without checkpoints start a new run.

        A new run starts from init_from if that is set. Raises UserError if there are checkpoints and none is usable, or
        if init_from does not fit.
        """
        restored = self._checkpoints.restore(self._load)
        if restored is None:
            self._begin()
            return
        # The samples of the round could not be restored: play it again.
        if self._state.ranks.any_rank(self._parts.buffer.num_samples == 0):
            self._state.require_new_round()
        self._saved_model = restored.model
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
        buffer, arrays, warnings = self._parts.buffer, restored.replay_arrays, list[str]()
        if is_changed:
            arrays, warnings = buffer.adapted(arrays)
        buffer.restore(arrays, restored.replay_meta)
        newest_version = restored.replay_arrays["weights_version"].max(initial=0)
        check_samples(counters, buffer.num_inserted, buffer.num_sampled, newest_version)
        return warnings
