"""Schedule "rounds" with a rule of release: before each round, all ranks together play the match of the new model.

The round waits for the verdict. The weights and the seed determine the games, so the run stays reproducible. Blocks
that were played before a kill are not played again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from ddpzero.actors import ActorError
from ddpzero.arena.arena import Arena
from ddpzero.arena.schedule import Task
from ddpzero.arena.workers import Workers
from ddpzero.run.ranks import Ranks

_POLL_SECONDS = 0.05


class Gate:
    """One rank's part in the matches. arena: of rank 0; None on other ranks. workers: of this rank."""

    def __init__(self, arena: Arena | None, workers: Workers, ranks: Ranks) -> None:
        self._arena = arena
        self._workers = workers
        self._ranks = ranks

    def hold(self, model: str, must_stop: Callable[[], bool]) -> bool:
        """Play what is left of a model's match, all ranks together; return whether the verdict is known.

        must_stop: called by all ranks together while they wait; if it returns True, the match is left unfinished.
        Raises ActorError if a rank's workers fail or cannot play the match.
        """
        with self._arena.paused() if self._arena else nullcontext():
            return self._hold(model, must_stop)

    def _hold(self, model: str, must_stop: Callable[[], bool]) -> bool:
        pool, ranks = self._arena.pool if self._arena else None, self._ranks
        rows = ranks.broadcast([asdict(t) for t in pool.tasks_of_match(model)] if pool else [])
        own = {row["key"]: Task(**row) for row in rows[ranks.rank :: ranks.world_size]}
        while ranks.any_rank(bool(own)):
            if must_stop():
                return False
            played = self._poll(own)
            for row in (row for rows in ranks.gather(played) for row in rows):
                if pool is not None:
                    pool.record(Task(**row.pop("task")), **row)
        if pool is not None:
            pool.decide(model)
        return True

    def _poll(self, own: dict[str, Task]) -> list[dict[str, Any]]:
        """Hand out this rank's blocks and return those that were played, which leave `own`."""
        workers = self._workers
        if workers.problem:
            raise ActorError(workers.problem)
        in_play = {task.key for task in workers.tasks.values()}
        for key, task in own.items():
            if key not in in_play and workers.has_idle_worker:
                workers.play(task)
        num_refused = len(workers.refused)
        played = workers.poll()
        for refused in workers.refused[num_refused:]:
            if refused.task.key in own:
                raise ActorError(
                    f"release.rule waits for the games {refused.task.key}, which cannot be played: {refused.problem}"
                )
        if not played:
            time.sleep(_POLL_SECONDS)
        for block in played:
            own.pop(block.task.key, None)
        return [asdict(block) for block in played]
