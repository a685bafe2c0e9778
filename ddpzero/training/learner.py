"""The training loop of one rank: insert episodes, update, publish weights, synchronize with other ranks, checkpoint.

    torchrun -> train() on every rank -> ActorPool (this rank's actors) -> ReplayBuffer -> Updater (DDP) -> weights

Called by main.py after the config is checked. Uses games and algorithms only through their contracts.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ddpzero.actors import ActorPool, ActorSpec, WeightsChannel
from ddpzero.algorithms.base import RunProgress
from ddpzero.arena.arena import Arena
from ddpzero.replay import Episode
from ddpzero.replay.shares import even_share
from ddpzero.run.backends import make_backends
from ddpzero.run.checkpoint_files import CHECKPOINTS_FOLDER, CheckpointError
from ddpzero.run.failures import FailureReport
from ddpzero.run.folder import check_run_config, claim_run_folder, keep_config, mark_stopped
from ddpzero.run.logs import setup_logging
from ddpzero.run.progress import Progress
from ddpzero.run.rank_cores import take_own_cores
from ddpzero.run.ranks import join_ranks
from ddpzero.run.record import RunRecord, is_new_run
from ddpzero.settings import Settings
from ddpzero.system.allocator import keep_freed_memory
from ddpzero.system.seeds import derive_seed
from ddpzero.system.signals import StopSignal
from ddpzero.training.balancer import Balancer, balance_of_samples, make_balancer
from ddpzero.training.checkpointing import Checkpointing
from ddpzero.training.divergence_guard import DivergenceGuard
from ddpzero.training.gate import Gate
from ddpzero.training.intake import UNLIMITED, Intake
from ddpzero.training.learning_rate import learning_rate
from ddpzero.training.metrics import (
    WAIT_FOR_EPISODES,
    WAIT_FOR_RANKS,
    WEIGHTS_LAG,
    metrics_of_run,
    weights_lag,
)
from ddpzero.training.pace import Pace
from ddpzero.training.parts import (
    Parts,
    build_parts,
    open_store,
    start_actors,
    start_arena,
    start_collecting,
)
from ddpzero.training.played_weights import PlayedWeights
from ddpzero.training.preflight import check_machine, without_impossible_matches
from ddpzero.training.reports import Outlets, Reports
from ddpzero.training.state import RunState

if TYPE_CHECKING:
    from ddpzero.training.pushed_models import PushedModels

logger = logging.getLogger(__name__)

# How often a rank that waits for data meets the others, by which it learns of stop signals.
_POLL_SECONDS = 0.2
# Updates between two measurements of weights_lag, which costs a small network 1 % of an update and changes slowly.
_LAG_INTERVAL_STEPS = 8


def train(
    settings: Settings, config: dict[str, Any], stop: StopSignal, notices: Sequence[str] = ()
) -> None:
    """Train until a limit of the config or a stop signal; resume if the run folder holds a checkpoint.

    config: `settings` as a nested JSON-able dict, stored in the run folder and compared between ranks.
    notices: warnings about the settings, which rank 0 logs.
    Raises UserError for what the user can fix, such as a folder in use or another config; RunFailed for any other
    failure, after the reason was written to the console and the log file.
    """
    keep_freed_memory()
    run_dir = Path(settings.runs_dir) / settings.run_name
    with ExitStack() as stack:
        report = stack.enter_context(FailureReport(run_dir))
        ranks = stack.enter_context(join_ranks(settings.device, settings.learner.timeout_seconds))
        ranks, about_cores = take_own_cores(ranks, settings.learner.affinity)
        report.ranks = ranks
        ranks.check_same_config(config)
        settings, about_arena = without_impossible_matches(settings)
        notices = [*about_arena, *notices]
        # A new run that cannot start here leaves no folder.
        is_new = ranks.broadcast(is_new_run(run_dir))
        warnings = check_machine(settings, run_dir, ranks) if is_new else []
        stack.enter_context(claim_run_folder(run_dir, ranks))
        changes = check_run_config(run_dir, config, settings.checkpoint.allow_config_change, ranks)
        max_silence_seconds = 1.5 * settings.logging.interval_seconds
        progress = Progress(ranks.is_first, max_silence_seconds=max_silence_seconds)
        stack.enter_context(progress)
        setup_logging(run_dir, ranks.rank, ranks.world_size, settings.logging.level, progress)
        # From here on, a failure is recorded in the run's status.
        metrics = metrics_of_run(settings)
        backends = make_backends(run_dir, csv=settings.logging.csv, wandb=settings.logging.wandb)
        record = stack.enter_context(RunRecord(run_dir, ranks, 0, metrics, backends))
        if not is_new:
            warnings = check_machine(settings, run_dir, ranks)
        for line in [about_cores, *changes] if about_cores else changes:
            logger.info("%s", line)
        for warning in [*warnings, *notices] if ranks.is_first else warnings:
            logger.warning("%s", warning)
        torch.set_num_threads(settings.learner.num_threads)
        state = RunState(settings.learner, ranks, stop)
        learner = build_learner(settings, config, state, Outlets(run_dir, record, progress), stack)
        reason = learner.run()
        if learner.checkpointing.last_error:
            raise CheckpointError(learner.checkpointing.last_error)
        record.status("stopped" if stop.is_set else "finished", stop_reason=reason)
        if stop.is_set:
            mark_stopped(run_dir, reason)


def build_learner(
    settings: Settings,
    config: dict[str, Any],
    state: RunState,
    outlets: Outlets,
    stack: ExitStack,
    actor_spec: ActorSpec | None = None,
) -> Learner:
    """Build a rank's parts, restore the newest checkpoint, and start the actors, all ranks together.

    stack: stops actors and threads when it is closed. actor_spec: see start_actors.
    """
    settings = repeatable(settings, state.ranks.device)
    parts = build_parts(settings, state.ranks)
    stack.callback(parts.feeder.close)
    store = stack.enter_context(open_store(settings, config, state.ranks, outlets.run_dir))
    checkpointing = Checkpointing(outlets.run_dir, settings, config, parts, state, store)
    checkpointing.restore()
    parts.feeder.begin_at(state.counters.learner_step)
    if settings.data.self_play_share == 0 and parts.stored is not None:
        # Models are named after the samples that they may have seen.
        state.counters.samples = round(state.ranks.sum({"n": parts.stored.num_samples})["n"])
    keep_config(outlets.run_dir, config, state.ranks)
    outlets.record.go_on_from(state.counters.learner_step)
    reports = Reports(settings.logging, parts, state, outlets)
    pool, channel = start_actors(settings, parts, state, outlets.run_dir, stack, actor_spec)
    reports.metrics.num_actors = pool.num_actors
    arena, gate = start_arena(settings, parts, state, outlets.run_dir, stack)
    collected, pushed = start_collecting(settings, parts, state, outlets.run_dir, stack)
    plays_best = settings.release.self_play == "best"
    balancer = make_balancer(settings, state.counters.work)
    intake = Intake(
        pool=pool,
        collected=collected,
        collected_share=settings.collect.share,
        store=store,
        buffer=parts.buffer,
        balance=balance_of_samples(parts, balancer),
        holdout_fraction=parts.holdout_fraction,
    )
    return Learner(
        settings=settings,
        config=config,
        state=state,
        parts=parts,
        intake=intake,
        checkpointing=checkpointing,
        guard=DivergenceGuard(parts.updater, parts.feeder, state, settings.learner.learning_rate),
        reports=reports,
        pool=pool,
        channel=channel,
        arena=arena,
        gate=gate,
        played_weights=PlayedWeights(parts.updater, outlets.run_dir, plays_best),
        balancer=balancer,
        pushed=pushed,
    )


def repeatable(settings: Settings, device: torch.device) -> Settings:
    """Return the settings with fixed dtypes for schedule "rounds" on a CPU, which must be reproducible.

    Otherwise a measurement at the start would choose the dtypes.
    """
    if settings.learner.schedule != "rounds" or device.type != "cpu":
        return settings
    learner, actors = settings.learner, settings.actors
    if learner.precision == "auto":
        learner = replace(learner, precision="float32")
    if actors.precision == "auto":
        actors = replace(actors, precision="float32")
    return replace(settings, learner=learner, actors=actors)


@dataclass
class Learner:
    """One rank's parts and its training loop.

    arena: of rank 0. gate: only with schedule "rounds" and a rule of release.
    balancer: adjusts effort and samples_per_insert; None: both are fixed.
    new_infos: the infos of the episodes that the updater has not counted yet.
    num_granted: the updates that all ranks may make before they meet again. pace: how many of them take 0.2 seconds.
    pushed: of rank 0 with a collection server, models for contributors.
    """

    settings: Settings
    config: dict[str, Any]
    state: RunState
    parts: Parts
    intake: Intake
    checkpointing: Checkpointing
    guard: DivergenceGuard
    reports: Reports
    pool: ActorPool
    channel: WeightsChannel
    arena: Arena | None
    gate: Gate | None
    played_weights: PlayedWeights
    balancer: Balancer | None
    new_infos: list[dict[str, Any]] = field(default_factory=list)
    pushed: PushedModels | None = None
    num_granted: int = 0
    pace: Pace = field(default_factory=Pace)

    # ---------------------------------------------------------------- the loop

    def run(self) -> str:
        """Train until the run ends; return the reason for its end."""
        # Imported objects stay alive: without this, each full garbage collection visits them, for 1/8 second.
        gc.freeze()
        self.reports.write_start(self.config, self.pool)
        if not self.state.plays_rounds:
            self.publish()
        if not self.intake.is_open:
            # Otherwise the first episode starts it.
            self.state.start_clock()
        if self.intake.collected is not None:
            # Contributors need a model before there can be a game, and a run that goes on may have a newer one.
            if self.state.counters.learner_step == 0:
                self.save()
            self.take_best_model()
        while not (reason := self.state.agree_on_reason_to_stop()):
            if self.state.plays_rounds and not self.state.counters.round_is_played:
                self.play_round()
            else:
                self.train_epoch()
        self.save()
        self.decide_last_release()
        if self.intake.collected is not None:
            # Contributors may play with the last model after the run.
            self.take_best_model()
        # Log it before the last progress line, which stays at the bottom of the terminal.
        if self.balancer is not None:
            logger.info("balance of actors and learner at the end: %s", self.balancer.describe())
        logger.info("stopped: %s", reason)
        self.reports.write_end(self.pool)
        return reason

    def train_epoch(self) -> None:
        """Update until the next epoch boundary; return early if the run must stop."""
        while not self.meet_ranks():
            if self.num_granted == 0:
                self.take_in_episodes(may_wait=self.intake.allowed_steps() == 0)
                continue
            self.make_granted_updates()
            if self.state.is_at_epoch_boundary:
                self.finish_epoch()
                return

    def make_granted_updates(self) -> None:
        """Make the updates that all ranks have agreed on, and take in episodes meanwhile."""
        started = time.perf_counter()
        self.parts.feeder.expect(self.num_granted)
        for _ in range(self.num_granted):
            self.take_in_episodes()
            self.update()
        self.pace.note(self.num_granted, time.perf_counter() - started)

    def update(self) -> None:
        """Make one optimizer step, all ranks together."""
        learner, state, metrics = self.settings.learner, self.state, self.reports.metrics
        with metrics.clock("sample"):
            batch = self.parts.feeder.take()
        with metrics.clock("update"), state.ranks.watch("update"), metrics.device_time():
            rate = learning_rate(learner, state.counters.learner_step, state.fraction_done)
            measured = self.parts.updater.update(batch, rate)
        self.guard.last_batch = batch
        state.count_update()
        metrics.add({**measured, "learner/rate": rate})
        if self.intake.is_open and self.is_lag_due:
            metrics.add({WEIGHTS_LAG: weights_lag(batch, state.counters.weights_version)})
        metrics.count(updates=1 / state.ranks.world_size, samples_trained=learner.batch_size)
        is_due = state.counters.learner_step % learner.publish_interval_steps == 0
        if is_due and not self.state.plays_rounds:
            self.publish()

    @property
    def is_lag_due(self) -> bool:
        """Whether to measure the weights_lag of a batch: in some of the updates, and at least in one for each row."""
        metrics, step = self.reports.metrics, self.state.counters.learner_step
        return step % _LAG_INTERVAL_STEPS == 0 or not metrics.has_value(WEIGHTS_LAG)

    def publish(self) -> None:
        """Publish the current weights to this rank's actors."""
        effort = 1.0 if self.balancer is None else self.balancer.effort
        with self.reports.metrics.clock("publish"):
            self.share_results()
            weights = self.played_weights.weights(self.state.fraction_done, effort)
            self.require_sound(weights)
            self.channel.publish(weights, self.state.count_publish())

    def play_round(self) -> None:
        """Schedule "rounds": play this epoch's episodes with the current weights; after a stop, insert none of them."""
        weights_version = self.state.counters.weights_version + 1
        num_episodes, num_actors = self.settings.learner.episodes_per_round, self.pool.num_actors
        if not self.is_release_decided(self.meet_ranks):
            return
        weights = self.played_weights.weights(self.state.fraction_done)
        self.require_sound(weights)
        self.channel.publish(weights, weights_version)
        self.pool.start_round(
            round_seed=derive_seed(self.settings.seed, weights_version, "round"),
            episodes_per_actor=[even_share(num_episodes, num_actors, i) for i in range(num_actors)],
            weights_version=weights_version,
        )
        is_done = False
        while self.state.ranks.any_rank(not is_done):
            if self.meet_ranks():
                self.pool.abandon_round()
                return
            with self.reports.metrics.clock(WAIT_FOR_EPISODES):
                is_done = self.pool.wait_for_round(_POLL_SECONDS)
        self.insert(self.pool.collect_round())
        self.share_results()
        self.parts.feeder.forget()
        self.state.count_round(weights_version)

    def is_release_decided(self, must_stop: Callable[[], bool]) -> bool:
        """Hold the match of the newest model, if there is a gate; return False if it must stop before its end."""
        if self.gate is None or self.state.counters.learner_step == 0:
            return True
        with self.reports.metrics.clock("arena"):
            self.share_results()
            model = self.checkpointing.save_model()
            if self.arena is not None:
                self.arena.refresh()
            is_decided = self.gate.hold(model, must_stop)
        self.take_best_model()
        return is_decided

    def decide_last_release(self) -> None:
        """Hold the match of the model of the last round, although the run is over; not after a signal."""
        if self.gate is None or self.state.counters.round_is_played:
            return
        if not self.is_stopped_by_signal():
            self.is_release_decided(self.is_stopped_by_signal)

    def is_stopped_by_signal(self) -> bool:
        """Synchronize, report and save if due; return whether a signal stops the run, all ranks together."""
        self.meet_ranks()
        return self.state.ranks.any_rank(self.state.is_stopped_by_signal)

    def take_best_model(self) -> None:
        """Let the actors play with the best model from the next publish on, if they should; all ranks together."""
        pool = self.arena.pool if self.arena is not None else None
        step = self.state.counters.learner_step
        best = self.state.ranks.broadcast(pool and pool.best_up_to(step))
        self.played_weights.set_best(best)
        if self.pushed is not None and best:
            with self.reports.metrics.clock("publish"):
                self.pushed.offer(best, self.parts.updater)

    def finish_epoch(self) -> None:
        """Synchronize at an epoch boundary, save a checkpoint if one is due, and show a sample episode."""
        ranks, epoch = self.state.ranks, self.state.epoch
        ranks.barrier(f"epoch {epoch}")
        self.state.require_new_round()
        if self.state.plays_rounds:
            self.take_best_model()
            self.reports.write_iteration(self.pool)
        self.maybe_grow()
        # The clock of rank 0 decides for all ranks.
        if ranks.broadcast(self.checkpointing.schedule.is_due_after_epoch(epoch)):
            self.save()
        self.reports.show_sample_game()

    def maybe_grow(self) -> None:
        """Let the networks grow if the settings say so at this point of the run, all ranks together.

        Called before the checkpoint of an epoch, so that a resumed run never has to make up for a growth.
        """
        state, outlets = self.state, self.reports.outlets
        step = state.counters.learner_step
        minutes, fraction = state.ranks.broadcast([state.minutes, state.fraction_done])
        seed = derive_seed(self.settings.seed, step, "growth")
        sentence = self.parts.updater.grow(RunProgress(step, minutes, fraction), seed)
        if sentence:
            logger.info("%s", sentence)
            outlets.record.text("growth", sentence, step)

    def meet_ranks(self) -> bool:
        """Agree on what to do next, all ranks together: report and save if due, then how many updates to make.

        Returns whether the run must stop.
        """
        state, is_first = self.state, self.state.ranks.is_first
        self.reports.show_progress(self.pool)
        self.poll_arena()
        schedule = self.checkpointing.schedule
        with self.reports.metrics.clock(WAIT_FOR_RANKS):
            flags, self.num_granted = state.vote(
                state.wants_to_stop,
                self.reports.is_row_due,
                is_first and schedule.is_overdue,
                is_first and schedule.is_model_due(state.minutes),
                self.pool.take_bad_weights(),
                allowed_updates=self.allowed_updates(),
            )
        must_stop, must_report, must_save, must_keep, has_bad_weights = flags
        must_stop = must_stop or state.has_generated_enough
        if must_report or has_bad_weights:
            self.require_sound(self.parts.updater.actor_weights(), must_try=has_bad_weights)
        if must_report:
            self.write_row()
        if must_keep:
            self.keep_model()
        if must_save and not must_stop:
            self.save()
        return must_stop

    def write_row(self) -> None:
        """Write a row of metrics, and do what follows from it or is due as seldom, all ranks together."""
        self.intake.count_files(self.state.ranks, self.state.counters)
        self.take_best_model()
        self.reports.write_row(self.pool)
        self.balance_sides()

    def keep_model(self) -> None:
        """Keep the current weights as a model of the run, all ranks together; a full disk does not end the run."""
        with self.reports.metrics.clock("save"):
            self.state.share_counters()
            self.checkpointing.schedule.note_minute(self.state.counters.minutes)
            self.require_sound(self.parts.updater.released_weights())
            try:
                logger.info("model %s", self.checkpointing.save_model())
            except CheckpointError as error:
                logger.error("%s", error)

    def save(self) -> None:
        """Save a checkpoint of everything, all ranks together."""
        with self.reports.metrics.clock("save"):
            self.state.share_counters()
            self.share_results()
            self.intake.count_files(self.state.ranks, self.state.counters)
            name = self.checkpointing.save(partial(self.require_sound, must_try=True))
        if name:
            self.reports.show_checkpoint(name)
            if self.arena is not None:
                self.arena.add(self.reports.outlets.run_dir / CHECKPOINTS_FOLDER / name)

    def poll_arena(self) -> None:
        """Rank 0: take the results of matches and hand out the next ones."""
        if self.arena is not None:
            with self.reports.metrics.clock("arena"):
                self.arena.poll()
            self.reports.metrics.set_last(self.arena.metrics())

    def require_sound(self, weights: dict[str, torch.Tensor], must_try: bool = False) -> None:
        """Raise DivergenceError on every rank if the training has diverged; see DivergenceGuard."""
        self.guard.newest_checkpoint = self.checkpointing.newest
        self.guard.require_sound(weights, must_try)

    # -------------------------------------------------------------------- data

    def allowed_updates(self) -> int:
        """Return how many updates this rank may make before the ranks meet again."""
        by_samples = UNLIMITED if self.state.plays_rounds else self.intake.allowed_steps()
        return min(by_samples, self.pace.num_updates, self.state.updates_left_in_epoch)

    def take_in_episodes(self, may_wait: bool = False) -> None:
        """Insert the episodes that have arrived, if it is time to look. may_wait: for some, briefly, if none has."""
        if self.state.plays_rounds or not (may_wait or self.intake.is_look_due):
            return
        if self.intake.allowed_inserts() == 0:
            return
        with self.reports.metrics.clock(WAIT_FOR_EPISODES if may_wait else "receive episodes"):
            seconds = _POLL_SECONDS if may_wait else 0.0
            episodes = self.intake.poll(seconds, self.state.counters.weights_version)
        if episodes:
            self.insert(self.state.up_to_limit(episodes))

    def balance_sides(self) -> None:
        """Adjust the work of actors and learner to how long either has waited; equal on every rank, as the row is."""
        if self.balancer is None:
            return
        message = self.balancer.observe_row(self.state.counters.minutes, self.reports.last_row)
        if message and self.state.ranks.is_first:
            logger.warning("%s", message)
        self.state.counters.work = self.balancer.work
        ratio = self.balancer.samples_per_insert
        self.intake.set_samples_per_insert(ratio)
        self.reports.metrics.set_last(
            {"self_play/effort": self.balancer.effort, "learner/samples_per_insert": ratio}
        )

    def insert(self, episodes: list[Episode]) -> None:
        """Insert finished episodes into this rank's store and replay buffer, and count them."""
        self.intake.insert(episodes)
        for episode in episodes:
            self.new_infos.append(episode.info)
            self.state.count_episode(episode)
            self.reports.add_episode(episode)
        self.reports.metrics.set_last(self.intake.metrics())

    def share_results(self) -> None:
        """Pass the results of all ranks' new episodes to the updater, all ranks together."""
        counts = self.parts.updater.count_results(self.new_infos)
        self.new_infos = []
        if counts:
            totals = self.state.ranks.sum(counts)
            self.reports.metrics.add(self.parts.updater.apply_results(totals))
