"""Facts about the benchmark of checkpoints."""

from __future__ import annotations

import pytest

from ddpzero.bench import checkpoint as checkpoint_module
from ddpzero.bench.checkpoint import bench_checkpoint
from ddpzero.config.hydra import compose_settings
from ddpzero.run.checkpoint_files import CheckpointError
from ddpzero.training.learner import Learner

TINY = [
    *("game=tic_tac_toe", "network.blocks=1", "network.channels=8", "search.num_simulations=4"),
    *("device=cpu", "actors.num_games=8", "learner.batch_size=16", "learner.precision=float32"),
    "replay.capacity=20000",
]


def test_saves_and_a_restore_of_a_full_buffer_are_measured():
    settings = compose_settings(TINY)
    figures = {each.figure: each for each in bench_checkpoint(settings, 0.1, seed=0)}
    values = {name: each.value for name, each in figures.items()}
    assert 0 < values["seconds_lost_in_a_save"] <= values["most_seconds_lost_in_a_save"]
    assert values["new_samples"] == 2000
    # 20,000 samples and those of four saves were stored, in shards that compress them.
    assert 0 < values["bytes_of_new_episodes"] < values["bytes_of_all_episodes"]
    assert values["bytes_of_all_episodes"] < 2 * values["bytes_of_the_buffer"]
    restored = values["restored_samples_per_second"] * values["restore_seconds"]
    assert restored == pytest.approx(20_000)
    assert figures["restore_seconds"].settings["capacity"] == 20_000


def test_a_disk_that_takes_no_checkpoint_is_told(monkeypatch):
    save = Learner.save

    def on_a_full_disk(learner: Learner) -> None:
        save(learner)
        learner.checkpointing._checkpoints.last_error = "No space left on device"

    monkeypatch.setattr(Learner, "save", on_a_full_disk)
    with pytest.raises(CheckpointError, match="No space left"):
        checkpoint_module.bench_checkpoint(compose_settings(TINY), 0.1, seed=0)
