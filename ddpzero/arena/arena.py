"""The arena of a run: processes that play the matches of its models beside the training.

    learner of rank 0 --> Arena.add(checkpoint)      a new model joins the pool (pool.py)
                      --> Arena.poll()               take results, hand out the next blocks; never waits
    worker 0, 1, ...  <-- tasks, results -- socket   processes of low priority that play (worker.py)

A failure of the arena costs the training nothing but a warning.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ddpzero.actors.connection import ActorConnection, Kind, Message
from ddpzero.actors.crash_report import CrashReport
from ddpzero.actors.supervised import SupervisedActor
from ddpzero.arena.pool import ModelPool
from ddpzero.arena.schedule import Task
from ddpzero.arena.worker import WorkerArguments, worker_main
from ddpzero.games import Game, TeamGame
from ddpzero.run.folder import LOGS_FOLDER
from ddpzero.settings import ArenaSettings
from ddpzero.system.cores import usable_cores
from ddpzero.system.outage import Outage

logger = logging.getLogger(__name__)

_MAX_FAILURES = 5
_OPPONENTS = ("rollout:100", "rollout:1000")


def default_opponents(game: Game | TeamGame) -> tuple[str, ...]:
    """Return the fixed opponents of a game: plain tree search, or the rule agents of a team game."""
    return game.spec.rule_agents if isinstance(game, TeamGame) else _OPPONENTS


class Arena:
    """Context manager on rank 0: leaving it kills the workers. Use it from the rank's main thread only.

    config: the run's resolved config. hang_seconds: a worker that is silent for so long while it plays is replaced.
    """

    def __init__(
        self,
        settings: ArenaSettings,
        pool: ModelPool,
        run_dir: Path,
        config: Mapping[str, Any],
        hang_seconds: float,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._run_dir = run_dir
        self._config = dict(config)
        self._hang_seconds = hang_seconds
        self._outage = Outage("the arena's files")
        self._workers = [
            SupervisedActor(index, worker_main, self._arguments_of)
            for index in range(settings.num_workers)
        ]
        # The block that each worker plays, and the CPU time of its process, by worker_index.
        self._tasks: dict[int, Task] = {}
        self._cpu_seconds: dict[int, float] = {}
        self._cpu_seconds_of_dead = 0.0
        self._num_cores = usable_cores()
        self._started_at = self._watched_at = time.monotonic()
        self._is_closed = False

    def __enter__(self) -> Arena:
        # If the program ends without leaving this context, Python would wait for the workers forever.
        atexit.register(self.close)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, checkpoint: Path) -> None:
        """Add the model of a new checkpoint to the pool."""
        in_play = {name for task in self._tasks.values() for name in (task.player_a, task.player_b)}
        with self._outage.watch():
            self._pool.add(checkpoint, in_play)

    def poll(self) -> None:
        """Take the results that have arrived, and hand out the next blocks. Never waits."""
        for worker in list(self._workers):
            if worker.is_started:
                self._receive(worker)
        self._watch()
        for worker in self._workers:
            if worker.actor_index not in self._tasks:
                self._employ(worker)

    def metrics(self) -> dict[str, float]:
        """Return the rating of the newest model that has one, and the share of the machine that the arena has used."""
        metrics = {"arena/share_of_machine": self._share}
        if rating := self._pool.newest_rating:
            metrics |= {"arena/elo": rating.elo, "arena/score": rating.score}
        return metrics

    def close(self) -> None:
        """Kill all workers and wait until they have ended."""
        if self._is_closed:
            return
        self._is_closed = True
        atexit.unregister(self.close)
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.close()

    # ------------------------------------------------------------------- workers

    @property
    def _share(self) -> float:
        """The workers' CPU time as a share of that of all cores, since the arena was made."""
        used = self._cpu_seconds_of_dead + sum(self._cpu_seconds.values())
        return used / (self._num_cores * max(time.monotonic() - self._started_at, 1.0))

    def _employ(self, worker: SupervisedActor) -> None:
        """Give a worker the next block to play, if there is one and the arena's share of the machine allows it."""
        if self._share > self._settings.share or time.monotonic() < worker.start_at:
            return
        task = self._pool.next_task(self._tasks.values())
        if task is None:
            return
        if not worker.is_started:
            worker.start()
        worker.silent_seconds = 0.0
        worker.connection.send(Message(Kind.COMMAND, 0, json.dumps(asdict(task)).encode()))
        self._tasks[worker.actor_index] = task

    def _receive(self, worker: SupervisedActor) -> None:
        try:
            messages, is_open = worker.connection.receive()
            for message in messages:
                worker.has_spoken, worker.silent_seconds = True, 0.0
                if message.kind is Kind.RESULT:
                    self._take(worker, **json.loads(message.payload))
        except ValueError as error:
            self._replace(worker, f"it sent bytes that cannot be read: {error}")
            return
        if not is_open:
            self._replace(worker)

    def _take(
        self,
        worker: SupervisedActor,
        scores: list[tuple[float, float]],
        mean_plies: float,
        seconds: float,
        cpu_seconds: float,
    ) -> None:
        self._cpu_seconds[worker.actor_index] = cpu_seconds
        task = self._tasks.pop(worker.actor_index)
        with self._outage.watch():
            self._pool.record(task, scores, mean_plies, seconds)

    def _watch(self) -> None:
        """Replace workers that are silent for too long."""
        now = time.monotonic()
        # A rank that did not poll for a long time heard nothing: such a gap does not mean that a worker hangs.
        gap_seconds = min(now - self._watched_at, self._hang_seconds / 4)
        self._watched_at = now
        for worker in list(self._workers):
            if worker.actor_index not in self._tasks:
                continue
            worker.silent_seconds += gap_seconds
            if worker.silent_seconds > self._hang_seconds:
                worker.ask_for_stack()
                self._replace(worker, f"it sent nothing for {self._hang_seconds:g} s")

    def _replace(self, worker: SupervisedActor, reason: str | None = None) -> None:
        self._tasks.pop(worker.actor_index, None)
        self._cpu_seconds_of_dead += self._cpu_seconds.pop(worker.actor_index, 0.0)
        report = worker.reap(reason)
        if worker.is_beyond_help or worker.num_failures > _MAX_FAILURES:
            self._workers.remove(worker)
            logger.warning("arena worker %d is given up: %s", worker.actor_index, report)
        else:
            logger.warning("arena worker %d failed and is replaced: %s", worker.actor_index, report)

    def _arguments_of(
        self,
        worker_index: int,
        start_number: int,
        connection: ActorConnection,
        crash_report: CrashReport,
    ) -> WorkerArguments:
        return WorkerArguments(
            parent_pid=os.getpid(),
            worker_index=worker_index,
            run_dir=self._run_dir,
            config=self._config,
            num_simulations=self._settings.num_simulations,
            connection=connection,
            crash_report=crash_report,
            log_file=self._run_dir / LOGS_FOLDER / f"arena{worker_index}.log",
        )
