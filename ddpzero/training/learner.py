"""One rank's loop: take in episodes, update, publish weights, meet the other ranks, keep checkpoints.

    torchrun -> train() on every rank -> ActorPool (this rank's actors) -> ReplayBuffer -> Updater (DDP) -> weights

Called by main.py once the config is checked. Knows neither games nor algorithms beyond their contracts.
"""

from __future__ import annotations

import gc
import logging
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddpzero.actors import ActorPool, WeightsChannel, default_num_actors
from ddpzero.algorithms.loader import load_plugin
from ddpzero.config.ignored import ignored_settings
from ddpzero.games import load_any_game
from ddpzero.replay import Episode, ReplayBuffer, SampleBalance
from ddpzero.run.checkpoint import Checkpoints, Restored, Snapshot, model_name
from ddpzero.run.checkpoint_files import CheckpointError
from ddpzero.run.divergence import (
    NUM_TRIALS,
    DivergenceError,
    skipping_problem,
    state_tensors,
    weights_problem,
)
from ddpzero.run.failures import FailureReport
from ddpzero.run.folder import (
    check_run_config,
    claim_run_folder,
    config_changes,
    foreign_config,
    keep_config,
    mark_stopped,
)
from ddpzero.run.initial_weights import load_initial_weights
from ddpzero.run.logs import setup_logging
from ddpzero.run.progress import Progress, size_text
from ddpzero.run.random_state import random_state, restore_random_state
from ddpzero.run.ranks import Ranks, join_ranks
from ddpzero.run.record import RunRecord
from ddpzero.settings import Settings
from ddpzero.system.errors import require
from ddpzero.system.signals import StopSignal
from ddpzero.system.tensors import shape_mismatch
from ddpzero.training.batches import Batch, BatchFeeder
from ddpzero.training.checkpoint_schedule import CheckpointSchedule
from ddpzero.training.counters import Counters, check_samples, counters_from_checkpoint
from ddpzero.training.learning_rate import learning_rate
from ddpzero.training.limits import Limits
from ddpzero.training.metrics import IntervalMetrics, StageClock, all_metrics
from ddpzero.training.preflight import check_machine, choose_actor_device
from ddpzero.training.reports import Reports

log = logging.getLogger(__name__)

# A rank that waits for data looks up this often, to meet the others and to hear a stop signal.
_PATIENCE_SECONDS = 0.2


def train(settings: Settings, config: dict[str, Any], stop: StopSignal) -> None:
    """Train until a limit of the config or a stop signal; resume if the run folder holds a checkpoint.

    config: `settings` as a nested JSON-able dict, for the run folder and for comparing ranks.
    Raises UserError for what a user can mend (folder in use, other config); for all else RunFailed, once the console
    and the log file have the reason.
    """
    run_dir = Path(settings.runs_dir) / settings.run_name
    with ExitStack() as stack:
        report = stack.enter_context(FailureReport(run_dir))
        ranks = stack.enter_context(join_ranks(settings.device, settings.learner.timeout_seconds))
        report.ranks = ranks
        ranks.check_same_config(config)
        warnings = check_machine(settings, run_dir, ranks)
        stack.enter_context(claim_run_folder(run_dir, ranks))
        changes = check_run_config(run_dir, config, settings.checkpoint.allow_config_change, ranks)
        progress = stack.enter_context(Progress(enabled=ranks.is_first))
        setup_logging(run_dir, ranks.rank, ranks.world_size, settings.logging.level, progress)
        for change in changes:
            log.info("%s", change)
        if ranks.is_first:
            warnings += ignored_settings(settings, ranks.world_size)
        for warning in warnings:
            log.warning("%s", warning)
        torch.set_num_threads(settings.learner.num_threads)
        settings = repeatable(settings, ranks.device)
        record = stack.enter_context(RunRecord(run_dir, ranks))
        learner = Learner(settings, config, ranks, run_dir, stop, progress, record, stack)
        reason = learner.run()
        if learner.checkpoints.last_error:
            raise CheckpointError(learner.checkpoints.last_error)
        record.status("stopped" if stop.is_set else "finished", stop_reason=reason)
        if stop.is_set:
            mark_stopped(run_dir, reason)


def repeatable(settings: Settings, device: torch.device) -> Settings:
    """The settings for schedule "rounds", which must repeat: no dtype is chosen by a measurement at start."""
    if settings.learner.schedule != "rounds" or device.type != "cpu":
        return settings
    learner, actors = settings.learner, settings.actors
    if learner.precision == "auto":
        learner = replace(learner, precision="float32")
    if actors.precision == "auto":
        actors = replace(actors, precision="float32")
    return replace(settings, learner=learner, actors=actors)


class Learner:
    """The parts of one rank and the loop over them."""

    def __init__(
        self,
        settings: Settings,
        config: dict[str, Any],
        ranks: Ranks,
        run_dir: Path,
        stop: StopSignal,
        progress: Progress,
        record: RunRecord,
        stack: ExitStack,
    ):
        self.settings = settings
        self.config = config
        self.ranks = ranks
        self.saved_model = ""
        self.last_batch: Batch | None = None
        self.untallied_infos: list[
            dict[str, Any]
        ] = []  # of episodes that the updater has not heard of

        # The same parameters on every rank, whatever ranks drew before; everything else differs by rank.
        torch.manual_seed(settings.seed)
        self.game_arguments = {
            "name": settings.game.name,
            "source": settings.game.source,
            **settings.game.parameters,
        }
        self.game = load_any_game(**self.game_arguments)
        plugin = load_plugin(settings.algorithm)
        self.algorithm = plugin.make_algorithm(settings.sections)
        networks = self.algorithm.make_networks(self.game)
        self.updater = self.algorithm.make_updater(
            self.game,
            networks,
            ranks.wrap,
            settings.learner,
            ranks.device,
            seed=_seed(settings.seed, ranks.rank, "updater"),
        )
        replay = settings.replay
        self.buffer = ReplayBuffer(
            self.algorithm.sample_spec(self.game),
            replay.capacity,
            seed=_seed(settings.seed, ranks.rank, "replay"),
            window_start_samples=replay.min_samples,
            window_exponent=replay.window_exponent,
        )
        self.balance = SampleBalance(
            replay.samples_per_insert, replay.min_samples, settings.learner.batch_size
        )
        self.feeder = BatchFeeder(self.buffer, settings.learner.batch_size, ranks.device)
        self.checkpoints = Checkpoints(run_dir, ranks, settings.checkpoint.keep_last)
        self.checkpoint_schedule = CheckpointSchedule(settings.checkpoint)
        self.counters = Counters()
        restored = self.checkpoints.restore(self._take)
        if restored is not None:
            self._resume_from(restored)
        elif settings.init_from is not None:
            self.updater.start_from(
                load_initial_weights(
                    settings.init_from,
                    Path(settings.runs_dir),
                    self.updater.released_weights(),
                    ranks,
                )
            )

        keep_config(run_dir, config, ranks)

        self.clock = StageClock()
        self.metrics = IntervalMetrics(ranks, self.clock, all_metrics(settings.algorithm))
        self.record = record
        record.go_on_from(self.counters.learner_step)
        self.limits = Limits(settings.learner, self.counters, ranks, stop)
        self.reports = Reports(
            settings.run_name,
            settings.logging,
            self.game,
            self.algorithm,
            self.counters,
            self.limits,
            ranks,
            self.metrics,
            self.record,
            progress,
        )
        self._start_actors(run_dir, stack)

    # ---------------------------------------------------------------- the loop

    def run(self) -> str:
        """Train to the end; returns why it ended."""
        plays_rounds = self.settings.learner.schedule == "rounds"
        # All that was imported stays: looking through it for garbage takes an eighth of a second each time.
        gc.freeze()
        self.record.config(self.config)
        self.reports.write_start(self.pool)
        if not plays_rounds:
            self.publish()
        while not (reason := self.limits.reason_to_stop()):
            if plays_rounds and not self.counters.round_is_played:
                self.play_round()
            else:
                self.train_epoch()
        self.save()
        # Before the last line: on a terminal, that one stays below.
        log.info("stopped: %s", reason)
        stage = "stopped" if self.limits.is_stopped_by_signal else "finished"
        self.reports.write_end(self.pool, self.buffer, stage)
        return reason

    def train_epoch(self) -> None:
        """Updates up to the next epoch boundary; returns early when the run must stop."""
        while not self._must_stop():
            if not self._all_ranks_have_data():
                continue
            self.update()
            if self.counters.learner_step % self.settings.learner.epoch_steps == 0:
                self.finish_epoch()
                return

    def update(self) -> None:
        """One optimizer step on all ranks."""
        learner = self.settings.learner
        with self.clock("sample"):
            batch = self.feeder.take()
        with self.clock("update"), self.ranks.watch("update"):
            fraction = self.limits.fraction_done()
            rate = learning_rate(learner, self.counters.learner_step, fraction)
            scalars = self.updater.update(batch, rate)
        self.last_batch = batch
        self.counters.learner_step += 1
        self.counters.samples_trained += learner.batch_size * self.ranks.world_size
        lag = self.counters.weights_version - batch["weights_version"].float().mean()
        self.metrics.add({**scalars, "self_play/weights_lag": lag, "learner/rate": rate})
        self.metrics.count(updates=1 / self.ranks.world_size, samples_trained=learner.batch_size)
        is_concurrent = learner.schedule == "concurrent"
        if is_concurrent and self.counters.learner_step % learner.publish_interval_steps == 0:
            self.publish()

    def publish(self) -> None:
        """Hand the newest weights to this rank's actors."""
        with self.clock("publish"):
            self.share_tallies()
            weights = self.updater.actor_weights()
            self.require_sound(weights)
            self.counters.weights_version += 1
            self.channel.publish(weights, self.counters.weights_version)

    def require_sound(self, weights: Mapping[str, torch.Tensor], is_tried: bool = False) -> None:
        """Raise DivergenceError, at every rank, if the training is lost. Call it before weights leave the learner.

        is_tried: try an update in any case, else only if the newest one was skipped. Weights can be finite and yet
        beyond use; checkpoints of such would push out the good ones.
        """
        skipped = self.updater.skipped_in_a_row()
        self._end_if_diverged(skipping_problem(skipped) or weights_problem(weights))
        if (is_tried or skipped) and not self._can_train():
            self._end_if_diverged(
                f"on {NUM_TRIALS} batches, the losses, gradients or outputs of the networks are not finite or are "
                "absurdly large"
            )

    def _can_train(self) -> bool:
        """Whether an update would be possible on one of a few batches; True where none was trained on yet."""
        if self.last_batch is None:
            return True
        for batch in self._batches_to_try(self.last_batch):
            with self.ranks.watch("a trial of the weights"):
                is_trainable = self.updater.is_trainable(batch)
            if not self.ranks.any_rank(not is_trainable):
                return True
        return False

    def _batches_to_try(self, last_batch: Batch) -> Iterator[Batch]:
        # The last one first: a sound training takes no other, and stays as repeatable as it is.
        yield last_batch
        for _ in range(NUM_TRIALS - 1):
            yield self.feeder.take()

    def _end_if_diverged(self, problem: str) -> None:
        if not self.ranks.any_rank(bool(problem)):
            return
        newest = self.checkpoints.newest
        way_back = (
            f"go on from checkpoint {newest}, which is from before: by the same command with "
            "checkpoint.allow_config_change=true"
            if newest
            else "start again: there is no checkpoint yet"
        )
        raise DivergenceError(
            f"the training has diverged at learner_step={self.counters.learner_step}: "
            f"{problem or 'another rank found so'}. Nothing of it was saved. Lower learner.learning_rate="
            f"{self.settings.learner.learning_rate:g} and {way_back}."
        )

    def share_tallies(self) -> None:
        """Tell the updater of the episodes that all ranks took in since the last time, all ranks together."""
        counts = self.updater.tally(self.untallied_infos)
        self.untallied_infos = []
        if counts:
            self.metrics.add(self.updater.take_tally(self.ranks.sum(counts)))

    def play_round(self) -> None:
        """Schedule "rounds": play this epoch's episodes with the newest weights; a stop leaves nothing half done."""
        weights_version = self.counters.weights_version + 1
        weights = self.updater.actor_weights()
        self.require_sound(weights)
        self.channel.publish(weights, weights_version)
        self.pool.start_round(
            round_seed=_seed(self.settings.seed, weights_version, "round"),
            episodes_per_actor=_shares(
                self.settings.learner.episodes_per_round, self.pool.num_actors
            ),
            weights_version=weights_version,
        )
        is_done = False
        while self.ranks.any_rank(not is_done):
            if self._must_stop():
                self.pool.abandon_round()
                return
            with self.clock("wait for episodes"):
                is_done = self.pool.wait_for_round(_PATIENCE_SECONDS)
        self._insert(self.pool.collect_round())
        self.share_tallies()
        self.feeder.forget()
        self.counters.weights_version = weights_version
        self.counters.round_is_played = True

    def finish_epoch(self) -> None:
        """The ranks meet: a checkpoint, a sample game."""
        epoch = self.limits.epoch
        self.ranks.barrier(f"epoch {epoch}")
        self.counters.round_is_played = False
        # One clock decides for all ranks.
        if self.ranks.broadcast(self.checkpoint_schedule.is_due_after_epoch(epoch)):
            self.save()
        self.reports.show_sample_game()

    def save(self) -> None:
        """A checkpoint of everything, all ranks together."""
        started = time.monotonic()
        with self.clock("save"):
            self.reports.share_counts()
            self.share_tallies()
            weights, trainer = self.updater.released_weights(), self.updater.state()
            self.require_sound({**weights, **state_tensors(trainer)}, is_tried=True)
            replay = self.buffer.state()
            path = self.checkpoints.save(
                Snapshot(
                    model=self._model_name(),
                    counters=asdict(self.counters),
                    weights=weights,
                    trainer=trainer,
                    config=self.config,
                    replay_arrays=replay.arrays,
                    replay_meta=replay.meta,
                    rank_state=random_state(),
                )
            )
        self.checkpoint_schedule.note_save(time.monotonic() - started, path is not None)
        if path is not None and path.name != self.saved_model:
            self.saved_model = path.name
            self.record.status("running", checkpoint=path.name)
            log.info("checkpoint %s", path.name)

    def _must_stop(self) -> bool:
        """Meet the other ranks: does anybody want to stop? Reports and saves on the way when it is time."""
        self.reports.show_progress(self.pool)
        must_stop, must_report, must_save, has_bad_weights = self.reports.vote(
            self.limits.wants_to_stop,
            self.reports.is_due,
            self.ranks.is_first and self.checkpoint_schedule.is_overdue,
            self.pool.take_bad_weights(),
        )
        must_stop = must_stop or self.limits.has_generated_enough
        if must_report or has_bad_weights:
            self.require_sound(self.updater.actor_weights(), is_tried=has_bad_weights)
        if must_report:
            self.reports.write_row(self.pool, self.buffer)
        if must_save and not must_stop:
            self.save()
        return must_stop

    # -------------------------------------------------------------------- data

    def _all_ranks_have_data(self) -> bool:
        """Take in episodes until this rank may update, for a moment; then ask the others."""
        if self.settings.learner.schedule == "rounds":
            return True
        is_ready = self._allowed_steps() > 0
        if self._allowed_inserts() > 0:
            with self.clock("wait for episodes"):
                episodes = self.pool.poll(0.0 if is_ready else _PATIENCE_SECONDS)
            self._insert(self.limits.up_to_limit(episodes, *self.reports.uncounted))
        return not self.ranks.any_rank(self._allowed_steps() == 0)

    def _allowed_steps(self) -> int:
        return self.balance.allowed_steps(self.buffer.num_inserted, self.buffer.num_sampled)

    def _allowed_inserts(self) -> int:
        return self.balance.allowed_inserts(self.buffer.num_inserted, self.buffer.num_sampled)

    def _insert(self, episodes: list[Episode]) -> None:
        if episodes:
            self.limits.start_clock()
        for episode in episodes:
            self.buffer.add(episode.columns)
            self.untallied_infos.append(episode.info)
            self.reports.add_episode(episode)

    # ---------------------------------------------------------- start and resume

    def _start_actors(self, run_dir: Path, stack: ExitStack) -> None:
        actors = self.settings.actors
        device = choose_actor_device(actors, self.ranks.device, self.ranks.local_rank)
        self.channel = stack.enter_context(WeightsChannel(self.updater.actor_weights()))
        self.pool = stack.enter_context(
            ActorPool(
                self.algorithm.actor_spec(self.game_arguments, actors, str(device)),
                self.channel,
                num_actors=actors.num_actors or default_num_actors(self.ranks.local_world_size),
                rank=self.ranks.rank,
                # A resumed run must not play the games of its beginning again.
                seed=_seed(
                    self.settings.seed, self.ranks.rank, "actors", self.counters.learner_step
                ),
                sample_spec=self.buffer.spec,
                schedule=self.settings.learner.schedule,
                max_restarts=actors.max_restarts,
                hang_seconds=actors.hang_seconds,
                log_dir=run_dir / "logs",
            )
        )
        self.metrics.num_actors = self.pool.num_actors
        log.info(
            "rank %d on %s (%s): %d actors of %d games; replay buffer of %d samples takes %s",
            self.ranks.rank,
            self.ranks.node,
            self.ranks.device,
            self.pool.num_actors,
            actors.num_games,
            self.buffer.capacity,
            size_text(self.buffer.size_bytes),
        )

    def _take(self, restored: Restored) -> None:
        """Load a checkpoint into this rank's parts. What a changed config makes useless begins anew, with a warning.

        Raises UserError if its config has other networks; ValueError, KeyError or TypeError if it is of no use.
        """
        _, changes = config_changes(restored.config, self.config)
        may_change = self.settings.checkpoint.allow_config_change
        if changes and not may_change and (problem := foreign_config(restored.config, self.config)):
            raise ValueError(f"its config is not of this run ({problem})")
        counters = counters_from_checkpoint(restored.counters, restored.model)
        if problem := shape_mismatch(restored.weights, self.updater.released_weights()):
            problem = f"its networks are not those of this config ({problem})"
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
        warnings = self.updater.load_state(restored.trainer) or []
        try:
            self.buffer.restore(restored.replay_arrays, restored.replay_meta)
            check_samples(
                counters,
                self.buffer.num_inserted,
                self.buffer.num_sampled,
                restored.replay_arrays["weights_version"].max(initial=0),
            )
        except ValueError as error:
            if not changes:
                raise
            self.buffer.clear()
            warnings.append(f"the replay buffer begins empty, for its samples do not fit: {error}")
        if restored.rank_state is not None:
            restore_random_state(restored.rank_state)
        self.counters = counters
        if self.ranks.is_first:
            for warning in warnings:
                log.warning("%s", warning)

    def _resume_from(self, restored: Restored) -> None:
        # A round is played again if its samples were of no use.
        if self.ranks.any_rank(self.buffer.num_samples == 0):
            self.counters.round_is_played = False
        self.saved_model = restored.model
        log.info("resumed from %s", restored.path)

    def _model_name(self) -> str:
        return model_name(
            self.settings.run_name,
            self.algorithm.model_tag(),
            self.counters.samples_trained,
            self.counters.samples,
        )


def _shares(total: int, num_parts: int) -> list[int]:
    """Cut `total` into num_parts whole numbers that differ by at most one, larger ones first."""
    return [total // num_parts + (part < total % num_parts) for part in range(num_parts)]


def _seed(*key: int | str) -> int:
    """A seed of 63 bits that depends on everything in `key` and on nothing else."""
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))
