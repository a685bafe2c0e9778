"""Processes that play blocks of games for a rank (worker.py): given tasks, watched, and replaced after failures.

Used by the arena beside the training, and by the gate between two rounds.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ddpzero.actors.connection import ActorConnection, Kind, Message
from ddpzero.actors.crash_report import CrashReport
from ddpzero.actors.supervised import SupervisedActor
from ddpzero.arena.judgements import Shares
from ddpzero.arena.schedule import JudgeTask, Task
from ddpzero.arena.worker import WorkerArguments, worker_main
from ddpzero.run.folder import LOGS_FOLDER

logger = logging.getLogger(__name__)

_MAX_FAILURES = 5
# Importing torch and loading compiled code, on a processor of 2020.
_START_CPU_SECONDS = 5.0


@dataclass(frozen=True)
class Played:
    """The result of a task. scores, mean_plies, seconds, num_distinct_games: see match_log.Block."""

    task: Task
    scores: list[tuple[float, float]]
    mean_plies: float
    seconds: float
    num_distinct_games: int


@dataclass(frozen=True)
class Refused:
    """A task that cannot be played, as when a player's file is gone. problem: why, as a sentence."""

    task: Task
    problem: str


@dataclass(frozen=True)
class Judged:
    """The result of judging. seconds: of judging. problem: why there are no shares, as a sentence; "" if there are."""

    task: JudgeTask
    shares: list[Shares]
    num_positions: int
    seconds: float
    problem: str


class Workers:
    """Context manager: leaving it kills the processes. Use it from the rank's main thread only.

    A process starts with its first task. tasks: those in play, by worker_index; a task whose worker dies leaves them.
    refused: the tasks that could not be played, in their order; the arena does not repeat them.
    problem: why the last worker was given up; "" while there are any. game: arguments of
    load_any_game. device: where players evaluate networks, such as "cpu" or "cuda:0".
    hang_seconds: a worker that is silent for so long while it plays is replaced.
    """

    def __init__(
        self,
        num_workers: int,
        *,
        rank: int,
        run_dir: Path,
        game: Mapping[str, Any],
        num_simulations: int | None,
        device: str,
        hang_seconds: float,
    ) -> None:
        self.tasks: dict[int, Task | JudgeTask] = {}
        self.refused: list[Refused] = []
        self._judged: list[Judged] = []
        self.problem = ""
        self._rank = rank
        self._run_dir = run_dir
        self._game = dict(game)
        self._num_simulations = num_simulations
        self._device = device
        self._hang_seconds = hang_seconds
        self._workers = [
            SupervisedActor(index, worker_main, self._arguments_of) for index in range(num_workers)
        ]
        self._cpu_seconds: dict[int, float] = {}
        self._cpu_seconds_of_dead = 0.0
        self._watched_at = time.monotonic()
        self._is_closed = False

    def __enter__(self) -> Workers:
        # If the program ends without leaving this context, Python would wait for the workers forever.
        atexit.register(self.close)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def cpu_seconds(self) -> float:
        """The CPU time of all workers up to their last results."""
        return self._cpu_seconds_of_dead + sum(self._cpu_seconds.values())

    @property
    def has_idle_worker(self) -> bool:
        """Whether `play` can be called."""
        return self._idle_worker() is not None

    @property
    def start_cpu_seconds(self) -> float:
        """The CPU time that the next task costs before it begins: that of starting a process, or 0."""
        worker = self._idle_worker()
        return 0.0 if worker is None or worker.is_started else _START_CPU_SECONDS

    def play(self, task: Task | JudgeTask) -> None:
        """Give a task to an idle worker, and start its process if there is none."""
        worker = self._idle_worker()
        assert worker is not None
        if not worker.is_started:
            worker.start()
        worker.silent_seconds = 0.0
        worker.connection.send(
            Message(Kind.COMMAND, 0, json.dumps({type(task).__name__: asdict(task)}).encode())
        )
        self.tasks[worker.actor_index] = task

    def poll(self) -> list[Played]:
        """Return the results that have arrived; replace dead and silent workers. Never waits."""
        played: list[Played] = []
        for worker in list(self._workers):
            if worker.is_started:
                played += self._receive(worker)
        self._watch()
        return played

    def take_judged(self) -> list[Judged]:
        """Return the results of judging that `poll` has received since the last call."""
        judged, self._judged = self._judged, []
        return judged

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

    def _idle_worker(self) -> SupervisedActor | None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.actor_index not in self.tasks and now >= worker.start_at:
                return worker
        return None

    def _receive(self, worker: SupervisedActor) -> list[Played]:
        played = []
        try:
            messages, is_open = worker.connection.receive()
            for message in messages:
                worker.has_spoken, worker.silent_seconds = True, 0.0
                if message.kind is Kind.RESULT:
                    played += self._result(worker, **json.loads(message.payload))
        except ValueError as error:
            self._replace(worker, f"it sent bytes that cannot be read: {error}")
            return played
        if not is_open:
            self._replace(worker)
        return played

    def _result(self, worker: SupervisedActor, cpu_seconds: float, **result: Any) -> list[Played]:
        """Take a worker's result; return it if it is one of games."""
        self._cpu_seconds[worker.actor_index] = cpu_seconds
        task = self.tasks.pop(worker.actor_index)
        if isinstance(task, JudgeTask):
            shares = [Shares(**each) for each in result.pop("shares")]
            self._judged.append(Judged(task, shares, **result))
            return []
        if "problem" in result:
            logger.warning("the arena leaves out the games %s: %s", task.key, result["problem"])
            self.refused.append(Refused(task, **result))
            return []
        scores = [(first, second) for first, second in result.pop("scores")]
        return [Played(task, scores, **result)]

    def _watch(self) -> None:
        """Replace workers that are silent for too long."""
        now = time.monotonic()
        # A rank that did not poll for a long time heard nothing: such a gap does not mean that a worker hangs.
        gap_seconds = min(now - self._watched_at, self._hang_seconds / 4)
        self._watched_at = now
        for worker in list(self._workers):
            if worker.actor_index not in self.tasks:
                continue
            worker.silent_seconds += gap_seconds
            if worker.silent_seconds > self._hang_seconds:
                worker.ask_for_stack()
                reason = f"it sent nothing for actors.hang_seconds={self._hang_seconds:g}"
                self._replace(worker, reason)

    def _replace(self, worker: SupervisedActor, reason: str | None = None) -> None:
        self.tasks.pop(worker.actor_index, None)
        self._cpu_seconds_of_dead += self._cpu_seconds.pop(worker.actor_index, 0.0)
        report = worker.reap(reason)
        name = f"arena worker {worker.actor_index} of rank {self._rank}"
        if worker.is_beyond_help or worker.num_failures > _MAX_FAILURES:
            self._workers.remove(worker)
            self.problem = "" if self._workers else f"{name} failed: {report}"
            logger.warning("%s is given up: %s", name, report)
        else:
            logger.warning("%s failed and is replaced: %s", name, report)

    def _arguments_of(
        self,
        worker_index: int,
        start_number: int,
        connection: ActorConnection,
        crash_report: CrashReport,
    ) -> WorkerArguments:
        return WorkerArguments(
            parent_pid=os.getpid(),
            rank=self._rank,
            worker_index=worker_index,
            run_dir=self._run_dir,
            game=self._game,
            num_simulations=self._num_simulations,
            device=self._device,
            connection=connection,
            crash_report=crash_report,
            log_file=self._run_dir / LOGS_FOLDER / f"rank{self._rank}.arena{worker_index}.log",
        )
