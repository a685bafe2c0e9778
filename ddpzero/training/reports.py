"""What the learner says of the run: rows for TensorBoard and the monitor, the progress line, sample games."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import asdict, replace
from typing import Any

from ddpzero.actors import ActorPool
from ddpzero.algorithms.base import Algorithm
from ddpzero.games import Game, TeamGame
from ddpzero.replay import Episode, ReplayBuffer
from ddpzero.run.progress import Progress, ProgressFigures
from ddpzero.run.ranks import Ranks
from ddpzero.run.record import RunRecord
from ddpzero.settings import LoggingSettings
from ddpzero.system.outage import Outage
from ddpzero.training.counters import Counters
from ddpzero.training.limits import Limits
from ddpzero.training.metrics import IntervalMetrics

log = logging.getLogger(__name__)

# Drawing a film takes the learner up to a second.
_FILM_INTERVAL_SECONDS = 60.0
# A shorter interval has no row of its own at the end of a run.
_SHORTEST_INTERVAL_SECONDS = 1.0


class Reports:
    """One rank's reports; see run/record.py for what rank 0 keeps of them."""

    def __init__(
        self,
        run_name: str,
        logging_settings: LoggingSettings,
        game: Game | TeamGame,
        algorithm: Algorithm,
        counters: Counters,
        limits: Limits,
        ranks: Ranks,
        metrics: IntervalMetrics,
        record: RunRecord,
        progress: Progress,
    ):
        self._run_name = run_name
        self._logging = logging_settings
        self._game = game
        self._algorithm = algorithm
        self._counters = counters
        self._limits = limits
        self._ranks = ranks
        self._metrics = metrics
        self._record = record
        self._progress = progress
        self._scalars: dict[str, float] = {}
        # Of the episodes since the last row, and of those in the last row.
        self._new_infos: list[dict[str, Any]] = []
        self._previous_infos: list[dict[str, Any]] = []
        self._last_info: dict[str, Any] | None = None  # of a game that can be shown
        self._filmed_at = -math.inf
        self._sample_outage = Outage("TensorBoard's sample game")
        # Of this rank, not in the counters yet.
        self._new_samples = 0
        self._new_episodes = 0
        self._reported_at = time.monotonic()
        # Episodes up to the last row, and up to the row before.
        self._reported_episodes = self._reported_before = counters.episodes

    def add_episode(self, episode: Episode) -> None:
        """Take in an episode that went into this rank's buffer."""
        self._new_infos.append(episode.info)
        if self._algorithm.can_show(episode.info):
            self._last_info = episode.info
        self._new_samples += episode.num_samples
        self._new_episodes += 1
        self._metrics.count(episodes=1, samples_generated=episode.num_samples)

    @property
    def uncounted(self) -> tuple[int, int]:
        """Samples and episodes that this rank has taken in since the last vote."""
        return self._new_samples, self._new_episodes

    def vote(self, *flags: bool) -> list[bool]:
        """Return for each flag whether it is set at any rank, all ranks together.

        The same message adds what every rank took in since the last time to the counters.
        """
        votes, (samples, episodes) = self._ranks.vote(
            flags, [self._new_samples, self._new_episodes]
        )
        self._counters.samples += samples
        self._counters.episodes += episodes
        self._new_samples = self._new_episodes = 0
        return votes

    def share_counts(self) -> None:
        """Bring the counters up to date, all ranks together."""
        self.vote()
        self._limits.share_minutes()

    @property
    def is_due(self) -> bool:
        """Whether rank 0 finds that it is time for a row: by the clock, or by its share of the episodes."""
        if not self._ranks.is_first:
            return False
        if self._logging.interval_episodes is not None:
            return len(self._new_infos) * self._ranks.world_size >= self._logging.interval_episodes
        return time.monotonic() - self._reported_at >= self._logging.interval_seconds

    def write_row(self, pool: ActorPool, buffer: ReplayBuffer) -> None:
        """One row for TensorBoard, the console and the monitor, all ranks together."""
        self._write_row(pool, buffer, with_previous=False)
        self._progress.report(self._figures(pool))

    def write_start(self, pool: ActorPool) -> None:
        """Say that the run is there; all ranks together."""
        self.share_counts()
        self._tell_status(pool)
        self._progress.report(self._figures(pool))

    def write_end(self, pool: ActorPool, buffer: ReplayBuffer, stage: str) -> None:
        """Leave the last row and the last progress line, all ranks together. stage: how the run has ended.

        A row over a fraction of a second would say nothing: a short last interval becomes part of the one before. A
        run that ends as soon as it has started has no row.
        """
        seconds, previous_seconds = self._ranks.broadcast(
            [self._metrics.seconds, self._metrics.previous_seconds]
        )
        if max(seconds, previous_seconds) >= _SHORTEST_INTERVAL_SECONDS:
            self._write_row(pool, buffer, with_previous=seconds < previous_seconds / 2)
        else:
            self.share_counts()
            self._tell_status(pool)
        figures = replace(self._figures(pool), stage=stage, seconds_left=None)
        self._progress.report_last(figures)

    def _write_row(self, pool: ActorPool, buffer: ReplayBuffer, with_previous: bool) -> None:
        self.share_counts()
        if with_previous:
            self._new_infos = self._previous_infos + self._new_infos
            self._reported_episodes = self._reported_before
        self._metrics.count(**pool.figures())
        self._metrics.gauge("replay/fill", buffer.num_samples / buffer.capacity)
        self._metrics.gauge("replay/window", buffer.window)
        summary = self._algorithm.summarize_episodes(self._game, self._new_infos)
        self._scalars = self._metrics.collect(summary, with_previous)
        self._previous_infos, self._new_infos = self._new_infos, []
        self._record.row(self._counters.learner_step, self._scalars)
        self._tell_status(pool, scalars=self._scalars)
        self._tell_block()
        self._reported_at = time.monotonic()

    def _tell_status(self, pool: ActorPool, **fields: Any) -> None:
        """Tell the monitor, and all ranks the time that is left; all ranks together."""
        self._limits.tell_time_left(
            self._speed("updates"), self._speed("samples_generated"), self._speed("episodes")
        )
        restarts = int(self._ranks.sum({"restarts": pool.num_restarts})["restarts"])
        self._record.status(
            "running",
            epoch=self._limits.epoch,
            learner_step=self._counters.learner_step,
            counters=asdict(self._counters),
            seconds_left=self._limits.seconds_left,
            num_actors=pool.num_actors * self._ranks.world_size,
            actor_restarts=restarts,
            **fields,
        )

    def show_progress(self, pool: ActorPool) -> None:
        """Refresh the progress line."""
        self._progress.show(self._figures(pool))

    def show_sample_game(self) -> None:
        """The last finished game in TensorBoard: as text, and as a film if it has pictures and it is time for one."""
        if self._last_info is None or not self._ranks.is_first:
            return
        step = self._counters.learner_step
        with self._sample_outage.watch():
            text = self._algorithm.describe_episode(self._game, self._last_info)
            self._record.text("sample_game", text, step)
            if time.monotonic() - self._filmed_at >= _FILM_INTERVAL_SECONDS:
                self._filmed_at = time.monotonic()
                if frames := self._algorithm.film_episode(self._game, self._last_info):
                    self._record.film("sample_game", frames, step)

    def _tell_block(self) -> None:
        """With blocks of episodes: what the plugin says of the one that has ended, a line above the progress line."""
        first, last = self._reported_episodes + 1, self._counters.episodes
        self._reported_before, self._reported_episodes = self._reported_episodes, last
        headline = self._algorithm.headline(self._game, self._scalars)
        if self._logging.interval_episodes is not None and headline and last >= first:
            log.info("episodes %s to %s: %s", f"{first:,}", f"{last:,}", headline)

    def _speed(self, name: str) -> float:
        return self._scalars.get(f"speed/{name}_per_second", 0.0)

    def _figures(self, pool: ActorPool) -> ProgressFigures:
        num_episodes = self._counters.episodes + self._new_episodes
        stage = "" if num_episodes else "waiting for the first episode"
        if pool.is_compiling:
            stage = "compiling for the actors (long only on a fresh machine)"
        return ProgressFigures(
            run_name=self._run_name,
            epoch=self._limits.epoch,
            learner_step=self._counters.learner_step,
            episodes=num_episodes,
            samples=self._counters.samples + self._new_samples,
            samples_per_second=self._speed("samples_generated"),
            updates_per_second=self._speed("updates"),
            simulations_per_second=self._speed("simulations"),
            environment_steps_per_second=self._speed("environment_steps"),
            loss=self._scalars.get("losses/total"),
            fraction=self._limits.fraction_done() or None,
            seconds_left=self._limits.seconds_left,
            stage=stage,
        )
