"""What the learner says of the run: rows for TensorBoard and the monitor, the progress line, sample games."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import asdict
from typing import Any

from ddpzero.actors import ActorPool
from ddpzero.algorithms.base import Algorithm
from ddpzero.counters import Counters
from ddpzero.distributed import Ranks
from ddpzero.games import Game, TeamGame
from ddpzero.limits import Limits
from ddpzero.metrics import IntervalMetrics
from ddpzero.outage import Outage
from ddpzero.progress import Progress, ProgressFigures
from ddpzero.replay import Episode, ReplayBuffer
from ddpzero.run_record import RunRecord
from ddpzero.settings import LoggingSettings

log = logging.getLogger(__name__)

# Drawing a film takes the learner up to a second.
_FILM_INTERVAL_SECONDS = 60.0


class Reports:
    """One rank's reports; see run_record.py for what rank 0 keeps of them."""

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
        self._new_infos: list[dict[str, Any]] = []  # of the episodes since the last row
        self._last_info: dict[str, Any] | None = None  # of a game that can be shown
        self._filmed_at = -math.inf
        self._sample_outage = Outage("TensorBoard's sample game")
        # Of this rank, not in the counters yet.
        self._new_samples = 0
        self._new_episodes = 0
        self._reported_at = time.monotonic()
        self._reported_episodes = counters.episodes

    def add_episode(self, episode: Episode) -> None:
        """Take in an episode that went into this rank's buffer."""
        self._new_infos.append(episode.info)
        if self._algorithm.can_show(episode.info):
            self._last_info = episode.info
        self._new_samples += episode.num_samples
        self._new_episodes += 1
        self._metrics.count(episodes=1, samples_generated=episode.num_samples)

    def share_counts(self) -> None:
        """Add what every rank took in since the last time to the counters, all ranks together."""
        total = self._ranks.sum({"samples": self._new_samples, "episodes": self._new_episodes})
        self._counters.samples += int(total["samples"])
        self._counters.episodes += int(total["episodes"])
        self._new_samples = self._new_episodes = 0
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
        self.share_counts()
        self._metrics.add(self._algorithm.summarize_episodes(self._game, self._new_infos))
        self._new_infos = []
        self._metrics.count(**pool.figures())
        self._metrics.gauge("replay/fill", buffer.num_samples / buffer.capacity)
        self._metrics.gauge("replay/window", buffer.window)
        self._scalars = self._metrics.collect()
        self._limits.tell_time_left(
            self._speed("updates"), self._speed("samples_generated"), self._speed("episodes")
        )
        self._record.row(self._counters.learner_step, self._scalars)
        restarts = int(self._ranks.sum({"restarts": pool.num_restarts})["restarts"])
        self._record.status(
            "running",
            epoch=self._limits.epoch,
            learner_step=self._counters.learner_step,
            counters=asdict(self._counters),
            scalars=self._scalars,
            seconds_left=self._limits.seconds_left,
            num_actors=pool.num_actors * self._ranks.world_size,
            actor_restarts=restarts,
        )
        self._progress.report(self._figures(pool))
        self._tell_block()
        self._reported_at = time.monotonic()

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
        self._reported_episodes = last
        headline = self._algorithm.headline(self._game, self._scalars)
        if self._logging.interval_episodes is not None and headline and last >= first:
            log.info("episodes %s to %s: %s", f"{first:,}", f"{last:,}", headline)

    def _speed(self, name: str) -> float:
        return self._scalars.get(f"speed/{name}_per_second", 0.0)

    def _figures(self, pool: ActorPool) -> ProgressFigures:
        num_episodes = self._counters.episodes + self._new_episodes
        stage = "" if num_episodes else "waiting for the first episode"
        if pool.is_preparing:
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
