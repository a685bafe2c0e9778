"""Trains on the replay buffer of another run, which stays as it is: no actors, only updates.

    checkpoint of a run -> ReplayBuffer -> BatchFeeder -> Updater -> checkpoints of a run of its own

`ddpzero ablate` uses it to compare targets, networks and optimizers on the same samples. One rank.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddpzero.replay import ReplayState, SampleSpec, redistribute
from ddpzero.replay.buffer import HELD_OUT, ORIGIN
from ddpzero.replay.origin import rows_of, shards_in
from ddpzero.run.checkpoint_content import broken_content, check_alike, episodes_of, read_rank
from ddpzero.run.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    MANIFEST_FILE,
    CheckpointError,
    check_file,
    newest_first,
    rank_file,
    read_manifest,
    replay_file,
)
from ddpzero.run.failures import FailureReport
from ddpzero.run.folder import check_run_config, claim_run_folder, keep_config
from ddpzero.run.logs import setup_logging
from ddpzero.run.progress import Progress
from ddpzero.run.ranks import join_ranks
from ddpzero.run.record import RunRecord
from ddpzero.run.shard import read_shard, shard_path
from ddpzero.settings import Settings
from ddpzero.system.allocator import keep_freed_memory
from ddpzero.system.errors import UserError, require
from ddpzero.system.signals import StopSignal
from ddpzero.training.checkpointing import Checkpointing
from ddpzero.training.divergence_guard import DivergenceGuard
from ddpzero.training.learning_rate import learning_rate
from ddpzero.training.metrics import IntervalMetrics, PhaseClock, metrics_of_run
from ddpzero.training.parts import Parts, build_parts, open_store
from ddpzero.training.state import RunState

logger = logging.getLogger(__name__)

# How often the learning rate's schedule learns what share of the time has passed.
_CLOCK_SECONDS = 0.5


def train_offline(
    settings: Settings, config: dict[str, Any], source: Path, stop: StopSignal
) -> None:
    """Train on the samples of `source` until a limit of the learner or a stop signal; resume if that was begun.

    source: a checkpoint, or a run, whose newest checkpoint is used. The limits are learner.max_minutes and max_epochs.
    Raises UserError, among others if a column is missing that these settings train on; RunFailed for other failures.
    """
    run_dir = Path(settings.runs_dir) / settings.run_name
    with ExitStack() as stack:
        report = stack.enter_context(FailureReport(run_dir))
        ranks = stack.enter_context(join_ranks(settings.device, settings.learner.timeout_seconds))
        report.ranks = ranks
        require(ranks.world_size == 1, "training on a replay buffer of a run needs a single rank.")
        stack.enter_context(claim_run_folder(run_dir, ranks))
        check_run_config(run_dir, config, settings.checkpoint.allow_config_change, ranks)
        progress = stack.enter_context(Progress(False))
        setup_logging(run_dir, 0, 1, settings.logging.level, progress)
        metrics = metrics_of_run(settings)
        record = stack.enter_context(RunRecord(run_dir, ranks, 0, metrics))
        keep_freed_memory()
        torch.set_num_threads(settings.learner.num_threads)
        state = RunState(settings.learner, ranks, stop)
        parts = build_parts(settings, ranks)
        stack.callback(parts.feeder.close)
        store = stack.enter_context(open_store(settings, config, ranks, run_dir))
        checkpointing = Checkpointing(run_dir, settings, config, parts, state, store)
        checkpointing.restore()
        if parts.buffer.num_samples == 0:
            load_samples(parts, state, source)
        keep_config(run_dir, config, ranks)
        record.go_on_from(state.counters.learner_step)
        record.config(config)
        reason = _Offline(settings, parts, state, checkpointing, record).run()
        if checkpointing.last_error:
            raise CheckpointError(checkpointing.last_error)
        record.status("stopped" if stop.is_set else "finished", stop_reason=reason)


def load_samples(parts: Parts, state: RunState, source: Path) -> None:
    """Fill the buffer with the samples of a checkpoint; the window is the one that its run had. Raises UserError."""
    saved = read_samples(source, parts.buffer.spec)
    saved.meta["num_sampled"] = 0
    try:
        parts.buffer.restore(saved.arrays, saved.meta)
    except ValueError as error:
        raise UserError(
            f"replay_of={source}: its samples do not fit these settings: {error}"
        ) from None
    require(parts.buffer.num_samples > 0, f"replay_of={source}: its replay buffer is empty.")
    state.counters.samples = parts.buffer.num_inserted
    state.counters.weights_version = int(saved.arrays["weights_version"].max())


def read_samples(source: Path, spec: SampleSpec) -> ReplayState:
    """Return the columns that `spec` names from the buffers of all ranks of a checkpoint. Raises UserError.

    Samples that their run held out stay held out.
    """
    is_checkpoint = (source / MANIFEST_FILE).exists()
    candidates = [source] if is_checkpoint else newest_first(source / CHECKPOINTS_FOLDER)
    problems = []
    for path in candidates:
        try:
            state = _read_state(path)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        missing = [name for name in spec if name not in state.arrays]
        present = [name for name in state.arrays if name != HELD_OUT]
        require(
            not missing,
            f"replay_of={source}: its samples have no {', no '.join(missing)}, which these settings train on; they "
            f"have {', '.join(present)}. Take the buffer of a run that was trained with these targets.",
        )
        names = (*spec, HELD_OUT) if HELD_OUT in state.arrays else (*spec,)
        return ReplayState({name: state.arrays[name] for name in names}, state.meta)
    raise UserError(
        f"replay_of={source} has no checkpoint with a replay buffer. {' '.join(problems)}".strip()
    )


def _read_state(path: Path) -> ReplayState:
    manifest = read_manifest(path)
    if manifest.world_size == 0:
        raise CheckpointError(f"{path} is a model: it has weights and no replay buffer.")
    with broken_content(path):
        for rank in range(manifest.world_size):
            for name in (rank_file(rank), replay_file(rank)):
                check_file(path, name, manifest.files[name])
        states = [read_rank(path, rank)[0] for rank in range(manifest.world_size)]
        check_alike(states)
        state = redistribute(states, 1, 0)
        return with_columns(state, episodes_of(path)) if ORIGIN in state.arrays else state


def with_columns(state: ReplayState, episodes: Path) -> ReplayState:
    """Return a state with the columns of its samples, from shards, instead of their origins.

    Columns that only some shards have are left out. Raises UnreadableFileError.
    """
    origins = state.arrays[ORIGIN]
    arrays: dict[str, np.ndarray] = {}
    is_first = True
    for key, positions in shards_in(origins):
        columns = read_shard(shard_path(episodes, key)).columns
        columns.pop(HELD_OUT)
        if is_first:
            arrays = {
                name: np.empty((len(origins), *column.shape[1:]), column.dtype)
                for name, column in columns.items()
            }
        is_first = False
        for name in list(arrays):
            if name in columns:
                arrays[name][positions] = columns[name][rows_of(origins[positions])]
            else:
                del arrays[name]
    return ReplayState({**arrays, HELD_OUT: state.arrays[HELD_OUT]}, state.meta)


class _Offline:
    """The loop of updates."""

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        state: RunState,
        checkpointing: Checkpointing,
        record: RunRecord,
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._state = state
        self._checkpointing = checkpointing
        self._record = record
        rate = settings.learner.learning_rate
        self._guard = DivergenceGuard(parts.updater, parts.feeder, state, rate)
        self._metrics = IntervalMetrics(state.ranks, PhaseClock(), parts.metrics)
        self._told_at = self._reported_at = time.monotonic()

    def run(self) -> str:
        """Update until the end; return the reason for it."""
        state, schedule = self._state, self._checkpointing.schedule
        state.start_clock()
        self._tell_time()
        while not (reason := state.agree_on_reason_to_stop()):
            self._update()
            if time.monotonic() - self._told_at >= _CLOCK_SECONDS:
                self._tell_time()
            if time.monotonic() - self._reported_at >= self._settings.logging.interval_seconds:
                self._write_row()
            if schedule.is_model_due(state.minutes):
                state.share_counters()
                schedule.note_minute(state.counters.minutes)
                self._guard.require_sound(self._parts.updater.released_weights())
                self._checkpointing.save_model()
            if schedule.is_overdue:
                self._save()
        self._write_row()
        self._save()
        logger.info("stopped: %s", reason)
        return reason

    def _update(self) -> None:
        learner, state = self._settings.learner, self._state
        batch = self._parts.feeder.take()
        rate = learning_rate(learner, state.counters.learner_step, state.fraction_done)
        measured = self._parts.updater.update(batch, rate)
        self._guard.last_batch = batch
        state.count_update()
        self._metrics.add({**measured, "learner/rate": rate})
        self._metrics.count(updates=1, samples_trained=learner.batch_size)

    def _tell_time(self) -> None:
        """Update the share of the run that is done."""
        self._state.share_counters()
        self._state.share_time_left(
            dict.fromkeys(("updates", "samples_generated", "episodes"), 0.0)
        )
        self._told_at = time.monotonic()

    def _write_row(self) -> None:
        counters = self._state.counters
        self._parts.holdout.add_to(self._metrics, counters.learner_step)
        row = self._metrics.collect({}, False)
        self._record.row(counters.learner_step, row)
        self._record.status(
            "running",
            learner_step=counters.learner_step,
            counters=asdict(counters),
            seconds_left=self._state.seconds_left,
            metrics=row,
        )
        self._reported_at = time.monotonic()

    def _save(self) -> None:
        self._state.share_counters()
        self._guard.newest_checkpoint = self._checkpointing.newest
        self._checkpointing.save(partial(self._guard.require_sound, must_try=True))
