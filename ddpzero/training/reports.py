"""The learner's reports: rows for TensorBoard and the monitor, the progress line, sample episodes."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ddpzero.actors import ActorPool
from ddpzero.algorithms.base import LOSS
from ddpzero.replay import Episode
from ddpzero.run.iterations import (
    SECONDS,
    iteration_line,
    load_iterations,
    read_iterations,
)
from ddpzero.run.progress import Progress, ProgressMetrics
from ddpzero.run.record import METRICS_FILE, RunRecord
from ddpzero.settings import LoggingSettings
from ddpzero.system.outage import Outage
from ddpzero.training.metrics import IntervalMetrics, PhaseClock
from ddpzero.training.parts import Parts
from ddpzero.training.state import RunState

logger = logging.getLogger(__name__)

# Rendering a film takes up to a second of the learner's time.
_FILM_INTERVAL_SECONDS = 60.0
# At the end of a run, a shorter interval gets no separate row.
_SHORTEST_INTERVAL_SECONDS = 1.0
# How often the monitor is told that the run is alive; rows of many episodes can be minutes apart.
_SIGN_OF_LIFE_SECONDS = 10.0
_RATES = ("updates", "samples_generated", "episodes", "simulations", "environment_steps")


@dataclass(frozen=True)
class Outlets:
    """The destinations of a rank's reports."""

    run_dir: Path
    record: RunRecord
    progress: Progress


class Reports:
    """Writes one rank's reports. outlets: their destinations. metrics: the rank's metrics; the learner adds to them."""

    def __init__(
        self, settings: LoggingSettings, parts: Parts, state: RunState, outlets: Outlets
    ) -> None:
        self.metrics = IntervalMetrics(state.ranks, PhaseClock(), parts.metrics)
        self._settings = settings
        self._parts = parts
        self._state = state
        self.outlets = outlets
        self._last_row: dict[str, float] = {}
        # The infos of the episodes since the last row, and of those in the last row.
        self._new_infos: list[dict[str, Any]] = []
        self._previous_infos: list[dict[str, Any]] = []
        # The info of the last episode that can be shown.
        self._last_info: dict[str, Any] | None = None
        self._filmed_at = -math.inf
        self._continues_iteration = not state.is_at_epoch_boundary
        self._description_outage = _outage_of_plugin("describe_episode")
        self._film_outage = _outage_of_plugin("film_episode")
        self._reported_at = self._told_at = time.monotonic()
        self._logged_episodes = state.counters.episodes
        # The number of episodes at the last row, and at the row before.
        self._reported_episodes = self._reported_before = state.counters.episodes

    def add_episode(self, episode: Episode) -> None:
        """Count an episode that was inserted into this rank's buffer."""
        self._new_infos.append(episode.info)
        if self._parts.algorithm.can_show(episode.info):
            self._last_info = episode.info
        self.metrics.count(episodes=1, samples_generated=episode.num_samples)

    # ------------------------------------------------------------------- rows

    @property
    def last_row(self) -> Mapping[str, float]:
        """The last row, equal on every rank; empty before the first one."""
        return self._last_row

    @property
    def is_row_due(self) -> bool:
        """Whether a row is due, by rank 0's clock or by its share of the episodes; False on other ranks.

        In schedule "rounds" never: there, a row describes an iteration.
        """
        if not self._state.ranks.is_first or self._state.plays_rounds:
            return False
        interval_episodes = self._settings.interval_episodes
        if interval_episodes is not None:
            return len(self._new_infos) * self._state.ranks.world_size >= interval_episodes
        return time.monotonic() - self._reported_at >= self._settings.interval_seconds

    def write_start(self, config: Mapping[str, Any], pool: ActorPool) -> None:
        """Report the start of the run, all ranks together. config: the resolved config, for TensorBoard."""
        self.outlets.record.config(config)
        self._state.share_counters()
        self._write_status(pool)
        self.outlets.progress.report(self._progress_metrics(pool))

    def write_row(self, pool: ActorPool) -> None:
        """Write one row for TensorBoard, the console and the monitor, all ranks together."""
        self._write_row(pool, with_previous=False)
        self.outlets.progress.report(self._progress_metrics(pool))

    def write_iteration(self, pool: ActorPool) -> None:
        """Schedule "rounds": write the row of the iteration that has just ended, all ranks together."""
        state = self._state
        self.metrics.set_last({SECONDS: self.metrics.seconds})
        self.write_row(pool)
        if not state.ranks.is_first:
            return
        steps = state.counters.learner_step
        row = {"learner_step": steps, **self._last_row}
        iterations = read_iterations([row], steps // state.epoch)
        if self._continues_iteration:
            # Its earlier parts are in the file.
            iterations = load_iterations(self.outlets.run_dir / METRICS_FILE, steps // state.epoch)
            self._continues_iteration = False
        if iterations:
            logger.info("%s", iteration_line(iterations[-1]))

    def write_end(self, pool: ActorPool) -> None:
        """Write the last row and the last progress line, all ranks together.

        A row over a fraction of a second would be meaningless: a short last interval is merged with the previous one. A
        run that ends immediately after its start has no row.
        """
        seconds, previous_seconds = self._state.ranks.broadcast(
            [self.metrics.seconds, self.metrics.previous_seconds]
        )
        plays_rounds = self._state.plays_rounds
        # In schedule "rounds" the last iteration has its row, unless it is incomplete; rows are never merged.
        has_row = plays_rounds and self._state.is_at_epoch_boundary
        if plays_rounds:
            self.metrics.set_last({SECONDS: seconds})
        if max(seconds, previous_seconds) >= _SHORTEST_INTERVAL_SECONDS and not has_row:
            is_short = seconds < previous_seconds / 2
            self._write_row(pool, with_previous=is_short and not plays_rounds)
        else:
            self._state.share_counters()
            self._write_status(pool)
        note = "stopped" if self._state.is_stopped_by_signal else "finished"
        last = replace(self._progress_metrics(pool), note=note, seconds_left=None)
        self.outlets.progress.report_last(last)

    def _write_row(self, pool: ActorPool, with_previous: bool) -> None:
        self._state.share_counters()
        if with_previous:
            self._new_infos = self._previous_infos + self._new_infos
            self._reported_episodes = self._reported_before
        buffer, algorithm = self._parts.buffer, self._parts.algorithm
        self.metrics.count(**pool.take_metrics())
        fill = buffer.num_samples / buffer.capacity
        self.metrics.set_last({"replay/fill": fill, "replay/window": buffer.window})
        self._parts.holdout.add_to(self.metrics, self._state.counters.learner_step)
        weights = self._parts.updater.released_weights()
        self.metrics.set_last({"learner/parameters": sum(w.numel() for w in weights.values())})
        summary = algorithm.summarize_episodes(self._new_infos)
        self._last_row = self.metrics.collect(summary, with_previous)
        self._previous_infos, self._new_infos = self._new_infos, []
        self.outlets.record.row(self._state.counters.learner_step, self._last_row)
        self._write_status(pool, metrics=self._last_row)
        self._log_block_of_episodes()
        self._reported_at = time.monotonic()

    def _write_status(self, pool: ActorPool, **fields: Any) -> None:
        """Write the status that the monitor shows, and share the time left, all ranks together."""
        state = self._state
        state.share_time_left(self._rates())
        restarts = int(state.ranks.sum({"restarts": pool.num_restarts})["restarts"])
        self.outlets.record.status(
            "running",
            epoch=state.epoch,
            learner_step=state.counters.learner_step,
            counters=asdict(state.counters),
            seconds_left=state.seconds_left,
            num_actors=pool.num_actors * state.ranks.world_size,
            actor_restarts=restarts,
            **fields,
        )

    def _log_block_of_episodes(self) -> None:
        """If logging.interval_episodes is set, log the plugin's summary of the latest block of episodes in one line."""
        first, last = self._reported_episodes + 1, self._state.counters.episodes
        self._reported_before, self._reported_episodes = self._reported_episodes, last
        line = self._parts.algorithm.summary_line(self._last_row)
        is_new, self._logged_episodes = last > self._logged_episodes, last
        if self._settings.interval_episodes is not None and line and is_new:
            logger.info("episodes %s to %s: %s", f"{first:,}", f"{last:,}", line)

    # ------------------------------------------------------------- everything else

    def show_checkpoint(self, name: str) -> None:
        """Report a new checkpoint to the monitor."""
        self.outlets.record.status("running", checkpoint=name)

    def show_progress(self, pool: ActorPool) -> None:
        """Update the progress line, and at intervals the counters that the monitor shows."""
        self.outlets.progress.show(self._progress_metrics(pool))
        if time.monotonic() - self._told_at >= _SIGN_OF_LIFE_SECONDS:
            self._told_at = time.monotonic()
            state = self._state
            counters = {**asdict(state.counters), "minutes": state.minutes}
            self.outlets.record.status(
                "running", learner_step=state.counters.learner_step, counters=counters
            )

    def show_sample_game(self) -> None:
        """Show the last finished episode in TensorBoard as text, and at intervals as a film if it has images."""
        info, record = self._last_info, self.outlets.record
        if info is None or not self._state.ranks.is_first:
            return
        algorithm = self._parts.algorithm
        step = self._state.counters.learner_step
        with self._description_outage.watch():
            text = algorithm.describe_episode(info)
            _require_text(text)
            record.text("sample_game", text, step)
        if time.monotonic() - self._filmed_at < _FILM_INTERVAL_SECONDS:
            return
        self._filmed_at = time.monotonic()
        with self._film_outage.watch():
            if frames := algorithm.film_episode(info):
                _require_pictures(frames)
                record.film("sample_game", frames, step)

    def _rates(self) -> dict[str, float]:
        """Return rates per second over all ranks, from the last row; 0 for counts that are not in it."""
        return {name: self._last_row.get(f"speed/{name}_per_second", 0.0) for name in _RATES}

    def _progress_metrics(self, pool: ActorPool) -> ProgressMetrics:
        state, rates = self._state, self._rates()
        note = "" if state.num_episodes else "waiting for the first episode"
        if pool.is_compiling:
            note = "compiling for the actors (once for each game)"
        return ProgressMetrics(
            run_name=self.outlets.run_dir.name,
            epoch=state.epoch,
            learner_step=state.counters.learner_step,
            episodes=state.num_episodes,
            samples=state.num_samples,
            samples_per_second=rates["samples_generated"],
            updates_per_second=rates["updates"],
            simulations_per_second=rates["simulations"],
            environment_steps_per_second=rates["environment_steps"],
            loss=self._last_row.get(LOSS),
            seconds=60 * state.minutes,
            fraction=state.fraction_done or None,
            seconds_left=state.seconds_left,
            note=note,
        )


def _outage_of_plugin(function: str) -> Outage:
    return Outage(f"The plugin's {function}", "failed", "works again")


def _require_text(text: Any) -> None:
    """Raise TypeError unless it is text, so that the plugin is blamed and not TensorBoard."""
    if not isinstance(text, str):
        raise TypeError(f"it returned {type(text).__name__} instead of str")


def _require_pictures(frames: Sequence[Any]) -> None:
    """Raise TypeError unless each frame is a picture `[height, width, 3]` uint8."""
    for frame in frames:
        shape: tuple[int, ...] = getattr(frame, "shape", ())
        dtype = getattr(frame, "dtype", type(frame).__name__)
        if len(shape) != 3 or shape[2] != 3 or dtype != "uint8":
            raise TypeError(
                f"it returned a frame {dtype}{list(shape)} instead of uint8[height, width, 3]"
            )
