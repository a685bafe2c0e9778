"""Facts about the benchmark of memory."""

from __future__ import annotations

import pytest

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.memory import bench_memory
from ddpzero.config.hydra import compose_settings
from ddpzero.replay import ReplayBuffer

TINY = [
    *("game=tic_tac_toe", "network.blocks=1", "network.channels=8", "search.num_simulations=4"),
    *("actors.num_games=8", "learner.batch_size=16", "learner.precision=float32"),
    "replay.capacity=400000",
]


def test_processes_are_measured_beside_their_estimates():
    settings = compose_settings(TINY)
    figures = {each.figure: each for each in bench_memory(settings, 0.2, seed=0)}
    sizes = {name: each.value for name, each in figures.items()}
    for what in ("rank", "replay_buffer", "actor", "actor_without_torch", "evaluator"):
        assert sizes[what] > 4
        assert sizes[f"{what}_estimated_over_measured"] == pytest.approx(
            sizes[f"{what}_estimated"] / sizes[what]
        )
    # torch takes more than a hundred.
    assert sizes["actor_without_torch"] < sizes["actor"] - 50
    buffer = ReplayBuffer(load_algorithm(settings).sample_spec(), 400_000, seed=0)
    assert sizes["replay_buffer"] == pytest.approx(buffer.size_bytes / 2**20, rel=0.1)
    assert sizes["replay_buffer_estimated"] >= sizes["replay_buffer"]
    assert figures["rank"].unit == "MiB" and figures["rank"].settings["capacity"] == 400_000
