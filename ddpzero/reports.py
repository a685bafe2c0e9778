"""What the learner says of the run: rows for TensorBoard and the monitor, the progress line, sample games."""

from __future__ import annotations

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
from ddpzero.progress import Progress, ProgressFigures
from ddpzero.replay import Episode, ReplayBuffer
from ddpzero.run_record import RunRecord


class Reports:
    """One rank's reports; see run_record.py for what rank 0 keeps of them."""

    def __init__(
        self,
        run_name: str,
        interval_seconds: float,
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
        self._interval_seconds = interval_seconds
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
        self._last_info: dict[str, Any] | None = None
        # Of this rank, not in the counters yet.
        self._new_samples = 0
        self._new_episodes = 0
        self._reported_at = time.monotonic()

    def add_episode(self, episode: Episode) -> None:
        """Take in an episode that went into this rank's buffer."""
        self._new_infos.append(episode.info)
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
        """Whether rank 0 finds that it is time for a row."""
        seconds = time.monotonic() - self._reported_at
        return self._ranks.is_first and seconds >= self._interval_seconds

    def write_row(self, pool: ActorPool, buffer: ReplayBuffer) -> None:
        """One row for TensorBoard, the console and the monitor, all ranks together."""
        self.share_counts()
        self._metrics.add(self._algorithm.summarize_episodes(self._game, self._new_infos))
        self._new_infos = []
        self._metrics.count(**pool.figures())
        self._metrics.gauge("replay/fill", buffer.num_samples / buffer.capacity)
        self._metrics.gauge("replay/window", buffer.window)
        self._scalars = self._metrics.collect()
        self._limits.tell_time_left(self._speed("updates"), self._speed("samples_generated"))
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
        self._reported_at = time.monotonic()

    def show_progress(self, pool: ActorPool) -> None:
        """Refresh the progress line."""
        self._progress.show(self._figures(pool))

    def show_sample_game(self) -> None:
        """The last finished game as text in TensorBoard."""
        if self._last_info is not None:
            text = self._algorithm.describe_episode(self._game, self._last_info)
            self._record.text("sample_game", text, self._counters.learner_step)

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
