"""The arena of a run: matches between its models and fixed opponents, ratings, and releases, beside the training.

    learner of rank 0 --> Arena.add(checkpoint)      a new model joins the pool
                      --> Arena.poll()               take results, hand out the next blocks; never waits
    worker 0, 1, ...  <-- tasks, results -- socket   processes of low priority that play (worker.py)

The plan is schedule.py's, the rules of release are release.py's. Everything is in files (matches.jsonl, releases.jsonl,
models/), from which a resumed run continues. A failure of the arena costs the training nothing but a warning.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ddpzero.actors.connection import ActorConnection, Kind, Message
from ddpzero.actors.crash_report import CrashReport
from ddpzero.actors.supervised import SupervisedActor
from ddpzero.arena.match_log import Block, MatchLog
from ddpzero.arena.ratings import Rating, rate
from ddpzero.arena.release import decide, release_match
from ddpzero.arena.schedule import Pairing, Task, next_task, pairings_of, tasks
from ddpzero.arena.worker import WorkerArguments, worker_main
from ddpzero.run.checkpoint_files import Manifest
from ddpzero.run.folder import LOGS_FOLDER
from ddpzero.run.models import keep_model, read_models, remove_model
from ddpzero.run.releases import Verdict, append_verdict, best_of, read_verdicts
from ddpzero.settings import ArenaSettings, ReleaseSettings
from ddpzero.system.cores import usable_cores
from ddpzero.system.json_text import json_text
from ddpzero.system.outage import Outage
from ddpzero.system.whole_files import replace_whole

logger = logging.getLogger(__name__)

RATINGS_FILE = "ratings.json"
_MAX_FAILURES = 5


class Arena:
    """Context manager on rank 0: leaving it kills the workers. Use it from the rank's main thread only.

    opponents: the names of the fixed players, the anchor of the ratings first. config: the run's resolved config.
    seed: of the run. hang_seconds: a worker that is silent for so long while it plays is replaced.
    """

    def __init__(
        self,
        settings: ArenaSettings,
        release: ReleaseSettings,
        opponents: Sequence[str],
        run_dir: Path,
        config: Mapping[str, Any],
        *,
        seed: int,
        hang_seconds: float,
    ) -> None:
        self._settings = settings
        self._release = release
        self._opponents = list(opponents)
        self._run_dir = run_dir
        self._config = dict(config)
        self._seed = seed
        self._hang_seconds = hang_seconds
        self._outage = Outage("the arena's files")
        self._log = MatchLog(run_dir)
        self._models = read_models(run_dir)
        self._verdicts = read_verdicts(run_dir)
        self._workers = [
            SupervisedActor(index, worker_main, self._arguments_of)
            for index in range(settings.num_workers)
        ]
        self._tasks: dict[int, Task] = {}
        self._cpu_seconds: dict[int, float] = {}
        self._past_cpu_seconds = 0.0
        self._started_at = self._watched_at = time.monotonic()
        self._ratings = rate(self._log.blocks, self._opponents[0])
        self._is_closed = False

    def __enter__(self) -> Arena:
        atexit.register(self.close)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -------------------------------------------------------- what the learner calls

    @property
    def best(self) -> str | None:
        """The model that was released last; None before the first."""
        return best_of(self._verdicts)

    @property
    def ratings(self) -> list[Rating]:
        """The ratings after the last block, strongest first."""
        return self._ratings

    def add(self, checkpoint: Path) -> None:
        """Add the model of a new checkpoint to the pool."""
        with self._outage.watch():
            keep_model(self._run_dir, checkpoint)
            self._models = read_models(self._run_dir)
            self._decide()
            self._remove_surplus_models()

    def poll(self) -> None:
        """Take the results that have arrived, and hand out the next blocks. Never waits."""
        for worker in self._workers:
            if worker.is_started:
                self._receive(worker)
        self._watch()
        for worker in self._workers:
            self._employ(worker)

    def metrics(self) -> dict[str, float]:
        """Return the newest rating of a model, and the share of the machine that the arena has used."""
        metrics = {"arena/share_of_machine": self._share}
        newest = self._newest_rating()
        if newest is not None:
            metrics["arena/elo"] = newest.elo
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

    # ------------------------------------------------------------------- the plan

    def _names(self) -> list[str]:
        return [manifest.model for manifest in self._models]

    def _pairings(self) -> list[Pairing]:
        """Return what is left to play, the most urgent first."""
        names = self._names()
        if not names:
            return []
        pairings = []
        for model in dict.fromkeys([*self._playing(), names[-1]]):
            earlier = names[: names.index(model)]
            num_games = release_match(self._release, self.best)
            if num_games and self.best in earlier:
                pairings.append(Pairing(model, str(self.best), num_games))
            pairings += pairings_of(model, earlier, self._opponents, self._settings.games)
        return pairings

    def _playing(self) -> list[str]:
        """Return the model that played last, if it still exists."""
        return [b.player_a for b in self._log.blocks[-1:] if b.player_a in self._names()]

    def _employ(self, worker: SupervisedActor) -> None:
        """Give a worker without a task the next one, if the arena's share of the machine allows it."""
        if worker.actor_index in self._tasks or time.monotonic() < worker.start_at:
            return
        if self._share > self._settings.share:
            return
        taken = self._log.keys | {task.key for task in self._tasks.values()}
        task = next_task(self._pairings(), self._seed, taken)
        if task is None:
            return
        if not worker.is_started:
            worker.start()
        worker.silent_seconds = 0.0
        worker.connection.send(Message(Kind.COMMAND, 0, json.dumps(asdict(task)).encode()))
        self._tasks[worker.actor_index] = task

    @property
    def _share(self) -> float:
        """The CPU time of all workers as a share of that of all cores since the arena exists."""
        used = self._past_cpu_seconds + sum(self._cpu_seconds.values())
        return used / (usable_cores() * max(time.monotonic() - self._started_at, 1.0))

    # -------------------------------------------------------------------- results

    def _receive(self, worker: SupervisedActor) -> None:
        try:
            messages, is_open = worker.connection.receive()
            for message in messages:
                worker.has_spoken, worker.silent_seconds = True, 0.0
                if message.kind is Kind.RESULT:
                    self._take(worker, json.loads(message.payload))
        except ValueError as error:
            self._replace(worker, f"it sent bytes that cannot be read: {error}")
            return
        if not is_open:
            self._replace(worker)

    def _take(self, worker: SupervisedActor, result: dict[str, Any]) -> None:
        task = self._tasks.pop(worker.actor_index)
        self._cpu_seconds[worker.actor_index] = result["cpu_seconds"]
        steps = {manifest.model: manifest.counters["learner_step"] for manifest in self._models}
        block = Block(
            key=task.key,
            player_a=task.player_a,
            player_b=task.player_b,
            scores=tuple((first, second) for first, second in result["scores"]),
            learner_step=int(steps.get(task.player_a, 0)),
            mean_plies=result["mean_plies"],
            seconds=result["seconds"],
            time=time.time(),
        )
        with self._outage.watch():
            self._log.append(block)
            self._ratings = rate(self._log.blocks, self._opponents[0])
            self._write_ratings()
            self._decide()

    def _write_ratings(self) -> None:
        document = {
            "anchor": self._opponents[0],
            "num_simulations": self._settings.num_simulations,
            "best": self.best,
            "ratings": [asdict(rating) for rating in self._ratings],
        }
        replace_whole(self._run_dir / RATINGS_FILE, json_text(document, indent=1).encode())

    def _newest_rating(self) -> Rating | None:
        by_name = {rating.player: rating for rating in self._ratings}
        rated = [by_name[name] for name in self._names() if name in by_name]
        return rated[-1] if rated else None

    # ------------------------------------------------------------------- releases

    def _decide(self) -> None:
        """Release or reject models that have played enough against the best one."""
        judged = {verdict.model for verdict in self._verdicts}
        steps = {manifest.model: manifest.counters["learner_step"] for manifest in self._models}
        for manifest in self._models:
            model, best = manifest.model, self.best
            if model in judged or (best in steps and steps[model] <= steps[best]):
                continue
            num_games = release_match(self._release, best)
            match = Pairing(model, str(best), num_games)
            keys = {task.key for task in tasks(match, self._seed)}
            blocks = [block for block in self._log.blocks if block.key in keys]
            if len(blocks) < len(keys):
                continue
            since = steps[model] - steps.get(str(best), 0)
            is_released, reason = decide(self._release, best, blocks, since)
            verdict = Verdict(model, is_released, reason, steps[model], time.time())
            append_verdict(self._run_dir, verdict)
            self._verdicts.append(verdict)
            if self._release.rule != "always":
                logger.info(
                    "%s is %s: %s", model, "released" if is_released else "rejected", reason
                )

    def _remove_surplus_models(self) -> None:
        """Remove models beyond max_models: of the oldest half, each second one; never the best or the newest ones."""
        names = self._names()
        surplus = len(names) - self._settings.max_models
        if surplus <= 0:
            return
        kept = {self.best, *self._playing(), *(task.player_b for task in self._tasks.values())}
        removable = [name for name in names[1 : len(names) // 2 : 2] if name not in kept]
        for name in removable[:surplus]:
            remove_model(self._run_dir, name)
        self._models: list[Manifest] = read_models(self._run_dir)

    # ---------------------------------------------------------------- supervision

    def _watch(self) -> None:
        """Replace workers that are silent for too long."""
        now = time.monotonic()
        # A rank that did not poll for a long time heard nothing: such a gap does not mean that a worker hangs.
        gap_seconds = min(now - self._watched_at, self._hang_seconds / 4)
        self._watched_at = now
        for worker in self._workers:
            if worker.is_started and worker.actor_index in self._tasks:
                worker.silent_seconds += gap_seconds
                if worker.silent_seconds > self._hang_seconds:
                    worker.ask_for_stack()
                    self._replace(worker, f"it sent nothing for {self._hang_seconds:g} s")

    def _replace(self, worker: SupervisedActor, reason: str | None = None) -> None:
        self._tasks.pop(worker.actor_index, None)
        self._past_cpu_seconds += self._cpu_seconds.pop(worker.actor_index, 0.0)
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
