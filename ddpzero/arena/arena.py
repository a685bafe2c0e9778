"""The arena of a run: plays the matches of its models beside the training, within a share of the machine.

    learner of rank 0 --> Arena.add(checkpoint)      a new model joins the pool (pool.py)
                      --> Arena.poll()               take results, hand out the next blocks; never waits
    worker 0, 1, ...  <-- tasks, results             processes of low priority that play (workers.py, worker.py)

A failure of the arena costs the training nothing but a warning.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ddpzero.arena.pool import ModelPool
from ddpzero.arena.workers import Workers
from ddpzero.games import Game, TeamGame
from ddpzero.system.cores import usable_cores
from ddpzero.system.outage import Outage

_OPPONENTS = ("rollout:100", "rollout:1000")


def default_opponents(game: Game | TeamGame) -> tuple[str, ...]:
    """Return the fixed opponents of a game: plain tree search, or the rule agents of a team game."""
    return game.spec.rule_agents if isinstance(game, TeamGame) else _OPPONENTS


class Arena:
    """Matches on rank 0. max_share: the largest share of the CPU time of all cores that the workers may use."""

    def __init__(self, pool: ModelPool, workers: Workers, max_share: float) -> None:
        self.pool = pool
        self.workers = workers
        self._max_share = max_share
        self._is_paused = False
        self._outage = Outage("the arena's files")
        self._num_cores = usable_cores()
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
        return {name for task in tasks for name in (task.player_a, task.player_b)}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the block `poll` does nothing, because the gate uses the workers."""
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False

    def poll(self) -> None:
        """Take the results that have arrived, and hand out the next blocks. Never waits."""
        if self._is_paused:
            return
        for played in self.workers.poll():
            with self._outage.watch():
                self.pool.record(played.task, played.scores, played.mean_plies, played.seconds)
        while self.workers.has_idle_worker and self._credit >= self.workers.start_cpu_seconds:
            task = self.pool.next_task(self.workers.tasks.values())
            if task is None:
                return
            self.workers.play(task)

    @property
    def _core_seconds(self) -> float:
        """The time of all cores since the arena was made."""
        return self._num_cores * (time.monotonic() - self._started_at)

    @property
    def _credit(self) -> float:
        """The CPU time that the workers may still use now."""
        return self._max_share * self._core_seconds - self.workers.cpu_seconds

    def metrics(self) -> dict[str, float]:
        """Return the rating of the newest model that has one, and the share of the machine that the arena has used."""
        share = self.workers.cpu_seconds / max(self._core_seconds, 1.0)
        metrics = {"arena/share_of_machine": share}
        if rating := self.pool.newest_rating:
            metrics |= {"arena/elo": rating.elo, "arena/score": rating.score}
        if (score := self.pool.match_score) is not None:
            metrics["arena/match_score"] = score
        return metrics
