"""Facts about the arena of a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ddpzero.arena.arena import Arena, arena_line
from ddpzero.arena.schedule import Task
from ddpzero.settings import ArenaSettings, ReleaseSettings
from tests.arena.test_pool import Run


def test_the_log_says_who_plays_and_how_much_of_the_machine_that_takes():
    line = arena_line(
        ArenaSettings(share=0.005), ReleaseSettings(rule="elo"), ["rollout:100"], num_cores=8
    )
    assert line == (
        "arena: 1 worker with at most 0.5% of the CPU time of 8 cores (arena.share); each model plays 40 games against "
        "each of: the model before it, an earlier one, rollout:100; models/ keeps 32 models; release.rule=elo decides "
        "about a model in 400 games against the best one"
    )


def test_a_model_that_is_in_play_is_not_removed(tmp_path, alone):
    run = Run(tmp_path / "x", alone, ReleaseSettings(), max_models=4)
    models = [run.save(step) for step in range(1, 5)]
    task = Task("key", models[1], "random", 2, 0)
    workers: Any = SimpleNamespace(tasks={0: task})
    arena = Arena(run.pool, workers, max_share=1.0)
    for step in range(5, 12):
        arena.add(run.save_checkpoint(step))
        arena.refresh()
    assert models[1] in run.pool.models
    assert models[3] not in run.pool.models
