"""The arena of a run: plays the matches of its models, and judges them, within a share of the machine.

    learner of rank 0 --> Arena.add(checkpoint)      a new model joins the pool (pool.py)
                      --> Arena.poll()               take results, hand out the next blocks; never waits
    worker 0, 1, ...  <-- tasks, results             processes of low priority that play (workers.py, worker.py)

A failure of the arena costs the training nothing but a warning.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ddpzero.arena.judgements import ModelJudge
from ddpzero.arena.pool import ModelPool
from ddpzero.arena.schedule import JudgeTask, Task
from ddpzero.arena.workers import Judged, Workers
from ddpzero.games import Game, TeamGame
from ddpzero.system.cores import usable_cores
from ddpzero.system.outage import Outage

logger = logging.getLogger(__name__)

_OPPONENTS = ("rollout:100", "rollout:1000")


def default_opponents(game: Game | TeamGame) -> tuple[str, ...]:
    """Return the fixed opponents of a game: plain tree search, or the rule agents of a team game."""
    return game.spec.rule_agents if isinstance(game, TeamGame) else _OPPONENTS


class Arena:
    """Matches and judgements on rank 0.

    max_share: the largest share of the CPU time of all cores that the workers may use. judge: None for no judgements.
    """

    def __init__(
        self,
        pool: ModelPool,
        workers: Workers,
        max_share: float,
        judge: ModelJudge | None = None,
        num_cores: int | None = None,
    ) -> None:
        """num_cores: of the machine; None: those that this process may use."""
        self._judge = judge
        self.pool = pool
        self.workers = workers
        self._max_share = max_share
        self._is_paused = False
        self._gate_cpu_seconds = 0.0
        self._outage = Outage("the arena's files")
        self._num_cores = num_cores or usable_cores()
        self._started_at = time.monotonic()

    def add(self, checkpoint: Path) -> None:
        """Add the model of a new checkpoint to the pool."""
        with self._outage.watch():
            self.pool.add(checkpoint, self._models_in_play)

    def refresh(self) -> None:
        """Take in the models that were added to the run's folder."""
        self.pool.refresh(self._models_in_play)

    @property
    def _models_in_play(self) -> set[str]:
        tasks = self.workers.tasks.values()
        return {name for task in tasks for name in task.players}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the block `poll` does nothing, because the gate uses the workers; the share does not bound that."""
        self._is_paused = True
        used_before = self.workers.cpu_seconds
        try:
            yield
        finally:
            self._is_paused = False
            self._gate_cpu_seconds += self.workers.cpu_seconds - used_before

    def poll(self) -> None:
        """Take the results that have arrived, and hand out the next blocks. Never waits."""
        if self._is_paused:
            return
        for played in self.workers.poll():
            with self._outage.watch():
                self.pool.record(
                    played.task,
                    played.scores,
                    played.mean_plies,
                    played.seconds,
                    played.num_distinct_games,
                )
        for judged in self.workers.take_judged():
            self._record_judged(judged)
        while self.workers.has_idle_worker and self._credit >= self.workers.start_cpu_seconds:
            task = self._next_task()
            if task is None:
                return
            self.workers.play(task)

    def _next_task(self) -> Task | JudgeTask | None:
        """Return what a worker should do next: judge the newest model if it is due, else play."""
        in_play = list(self.workers.tasks.values())
        left_out = [refused.task for refused in self.workers.refused]
        if self._judge is not None and self.pool.models:
            newest = self.pool.models[-1]
            is_judging = any(isinstance(task, JudgeTask) for task in in_play)
            minutes = float(self.pool.counters_of(newest).get("minutes", 0.0))
            if not is_judging and (task := self._judge.next_task(newest, minutes)):
                return task
        return self.pool.next_task([*in_play, *left_out])

    def _record_judged(self, judged: Judged) -> None:
        assert self._judge is not None
        if judged.problem:
            logger.warning("%s was not judged: %s", judged.task.model, judged.problem)
            return
        counters = self.pool.counters_of(judged.task.model)
        with self._outage.watch():
            self._judge.record(
                judged.task, counters, judged.shares, judged.num_positions, judged.seconds
            )

    @property
    def _core_seconds(self) -> float:
        """The time of all cores since the arena was made."""
        return self._num_cores * (time.monotonic() - self._started_at)

    @property
    def _credit(self) -> float:
        """The CPU time that the workers may still use now."""
        used = self.workers.cpu_seconds - self._gate_cpu_seconds
        return self._max_share * self._core_seconds - used

    def metrics(self) -> dict[str, float]:
        """Return the newest rating, match score and judgement, and the share of the machine that the arena has used."""
        share = self.workers.cpu_seconds / max(self._core_seconds, 1.0)
        metrics = {"arena/share_of_machine": share}
        if rating := self.pool.newest_rating:
            metrics |= {"arena/elo": rating.elo, "arena/score": rating.score}
        if (score := self.pool.match_score) is not None:
            metrics["arena/match_score"] = score
        return metrics | (self._judge.metrics() if self._judge is not None else {})
