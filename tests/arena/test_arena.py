"""Facts about the arena of a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ddpzero.arena.arena import Arena
from ddpzero.arena.schedule import Task
from tests.arena.test_pool import Run, rule


def test_a_model_that_is_in_play_is_not_removed(tmp_path, alone):
    run = Run(tmp_path / "x", alone, rule(), max_models=4)
    models = [run.save(step) for step in range(1, 5)]
    task = Task("key", models[1], "random", 2, 0, 0)
    workers: Any = SimpleNamespace(tasks={0: task})
    arena = Arena(run.pool, workers, max_share=1.0)
    for step in range(5, 12):
        arena.add(run.save_checkpoint(step))
        arena.refresh()
    assert models[1] in run.pool.models
    assert models[3] not in run.pool.models
