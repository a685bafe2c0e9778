"""One of the ranks that `ddpzero bench scaling` starts: measures what the learner's loop costs besides the updates.

torchrun --standalone --nproc_per_node=8 -m ddpzero.bench.scaling_rank JOB.json

All ranks alternate between slices of the real loop and as many updates of a bare loop: the same updater, with its
all-reduce of gradients, on a batch that stays where it is. Rank 0 writes the figures.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddpzero.run.ranks import Ranks
    from ddpzero.system.signals import StopSignal
    from ddpzero.training.learner import Learner

_NUM_ROUNDS = 15
# In a shorter slice there may be no update.
_LEAST_SLICE_SECONDS = 0.2
_COLLECTIVES_AT_ONCE = 20
# The JSON of a rank's metrics in a row.
_ROW_BYTES = 2_500

Figures = dict[str, float]


def main() -> None:
    """Measure, or train as a run does, as the job says: see scaling.py."""
    from ddpzero.system.allocator import keep_freed_memory
    from ddpzero.system.parent import die_with_parent

    die_with_parent()
    # As the learner of a run does, before threads and large blocks.
    keep_freed_memory()

    from ddpzero.config.conversion import settings_from_dict
    from ddpzero.system.guarded_files import read_json
    from ddpzero.system.signals import StopSignal
    from ddpzero.training.learner import train

    job = read_json(Path(sys.argv[1]))
    settings, stop = settings_from_dict(job["config"]), StopSignal()
    if job["recording"] is None:
        train(settings, job["config"], stop)
        return

    from ddpzero.bench.short_run import started_learner
    from ddpzero.run.ranks import join_ranks
    from ddpzero.system.json_text import json_text
    from ddpzero.system.whole_files import replace_whole

    with join_ranks(settings.device, settings.learner.timeout_seconds) as ranks:
        with started_learner(settings, ranks, stop, Path(job["recording"])) as learner:
            figures = measure(learner, ranks, stop, job["seconds"])
        if ranks.is_first:
            replace_whole(Path(job["output"]), json_text(figures).encode())


def measure(learner: Learner, ranks: Ranks, stop: StopSignal, seconds: float) -> Figures:
    """Return the figures of all ranks, all ranks together. seconds: of the loop, in all slices."""
    from ddpzero.run.ranks import columns

    loop = _Loop(learner, ranks, stop, max(seconds / _NUM_ROUNDS, _LEAST_SLICE_SECONDS))
    loop.warm_up()
    rounds = columns([loop.round() for _ in range(_NUM_ROUNDS)])
    own = {name: median(values) for name, values in rounds.items()}
    everyones = columns(ranks.gather({**own, **_collectives(ranks)}))
    means = {name: sum(values) / ranks.world_size for name, values in everyones.items()}
    most = {f"most_{name}": max(values) for name, values in everyones.items() if "cpu" in name}
    return {**means, **most}


class _Loop:
    """The learner's loop in slices of some seconds, and the bare one."""

    def __init__(
        self, learner: Learner, ranks: Ranks, stop: StopSignal, slice_seconds: float
    ) -> None:
        self._learner = learner
        self._ranks = ranks
        self._stop = stop
        self._slice_seconds = slice_seconds

    def warm_up(self) -> None:
        """Fill the buffer, so that no later slice begins by waiting for it."""
        state = self._learner.state
        while state.ranks.broadcast(state.counters.learner_step) < 20:
            self._slice()
        self._batch = self._learner.parts.feeder.take()
        self._bare(5)

    def round(self) -> Figures:
        """Return the figures of one slice, of as many bare updates, and of one event of each kind."""
        learner = self._learner
        learner.reports.metrics.clock.take_shares()
        (wall, cpu), num_updates = self._slice()
        shares = learner.reports.metrics.clock.take_shares()
        bare_wall, bare_cpu = self._timed(lambda: self._bare(num_updates))
        waiting = shares.get("wait for episodes", 0.0) * wall
        figures = {
            "updates": float(num_updates),
            "step": (wall - waiting) / num_updates,
            "step_cpu": cpu / num_updates,
            "bare_step": bare_wall / num_updates,
            "bare_step_cpu": bare_cpu / num_updates,
            "overhead": (wall - waiting - bare_wall) / num_updates,
            "overhead_cpu": (cpu - bare_cpu) / num_updates,
        }
        for phase, share in shares.items():
            figures[f"phase {phase}"] = share * wall / num_updates
        of_updates = figures.get("phase update", 0.0)
        figures["phase update"] = of_updates - bare_wall / num_updates
        for name, event in (
            ("save", learner.save),
            ("row", learner.write_row),
            ("epoch", learner.finish_epoch),
        ):
            figures[name], figures[f"{name}_cpu"] = self._timed(event)
        return figures

    def _slice(self) -> tuple[tuple[float, float], int]:
        """Let the loop run for a slice; return its wall and CPU seconds, and its number of updates."""
        counters = self._learner.state.counters
        before = counters.learner_step
        # The vote ends the slice on all ranks.
        timer = threading.Timer(self._slice_seconds, self._stop.set, ["the end of a slice"])
        if self._ranks.is_first:
            timer.start()
        took = self._timed(self._learner.train_epoch)
        self._ranks.barrier("the end of a slice")
        self._stop.reason = ""
        return took, max(1, self._learner.state.counters.learner_step - before)

    def _bare(self, num_updates: int) -> None:
        updater, rate = self._learner.parts.updater, self._learner.settings.learner.learning_rate
        for _ in range(num_updates):
            updater.update(self._batch, rate)

    def _timed(self, work: Callable[[], Any]) -> tuple[float, float]:
        """Return wall and CPU seconds of this rank's process, with all of its threads."""
        self._ranks.barrier("the start of a measurement")
        started, cpu = time.perf_counter(), time.process_time()
        work()
        return time.perf_counter() - started, time.process_time() - cpu


def _collectives(ranks: Ranks) -> Figures:
    """Return the median wall seconds and the CPU seconds of a call of each collective."""
    row = {"metrics": "x" * _ROW_BYTES}
    calls: dict[str, Callable[[], Any]] = {
        "vote": lambda: ranks.vote([False] * 5, [0, 0]),
        "barrier": lambda: ranks.barrier("a measurement"),
        "broadcast": lambda: ranks.broadcast(1.0),
        "gather": lambda: ranks.gather(row),
    }
    figures: dict[str, float] = defaultdict(float)
    for name, call in calls.items():
        call()
        walls, cpu = [], time.process_time()
        for _ in range(_COLLECTIVES_AT_ONCE):
            started = time.perf_counter()
            call()
            walls.append(time.perf_counter() - started)
        figures[name] = median(walls)
        figures[f"{name}_cpu"] = (time.process_time() - cpu) / _COLLECTIVES_AT_ONCE
    return dict(figures)


if __name__ == "__main__":
    main()
