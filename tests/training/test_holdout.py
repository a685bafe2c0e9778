"""Held-out episodes: what a learner does with them, from their arrival to the row of metrics."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ddpzero.algorithms.base import CompleteUpdater
from ddpzero.algorithms.defaults import can_evaluate, complete_updater
from ddpzero.bench.noise import noise
from ddpzero.config.hydra import compose_settings
from ddpzero.replay import Episode, is_held_out
from ddpzero.training.holdout import HoldoutEvaluation
from ddpzero.training.learner import Learner
from tests.run.checkpointed_runs import resume, without_actors

SETTINGS = (
    *("game=tic_tac_toe", "network.blocks=1", "network.channels=4", "device=cpu"),
    *("learner.precision=float32", "learner.batch_size=8", "replay.capacity=1000"),
    *("replay.min_samples=100", "replay.samples_per_insert=4", "run_name=x"),
)
POOL: Any = SimpleNamespace(num_actors=1, num_restarts=0, is_compiling=False, take_metrics=dict)


def start(run_dir: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> Learner:
    without_actors(monkeypatch)
    return resume(run_dir, compose_settings([*SETTINGS, f"runs_dir={run_dir.parent}", *overrides]))


def episodes(learner: Learner, num_episodes: int) -> list[Episode]:
    """Episodes of five samples each."""
    spec = learner.parts.buffer.spec
    result = []
    for seed in range(num_episodes):
        columns = noise(spec, 5, np.random.default_rng(seed))
        columns["policy_target"] /= columns["policy_target"].sum(1, keepdims=True)
        info = {
            "num_plies": 5,
            "first_player_return": 1.0,
            "score": None,
            "moves": [0],
            "restart_ply": 0,
        }
        result.append(Episode(columns, info))
    return result


def last_row(run_dir: Path) -> dict[str, Any]:
    row: dict[str, Any] = json.loads((run_dir / "metrics.jsonl").read_text().splitlines()[-1])
    return row


def test_the_ratio_of_uses_is_that_of_the_samples_that_are_trained_on(tmp_path, monkeypatch):
    learner = start(tmp_path / "x", monkeypatch, "learner.holdout_fraction=0.5")
    played = episodes(learner, 100)
    num_held_out = sum(is_held_out(episode, 0.5) for episode in played)
    assert 30 < num_held_out < 70
    learner.insert(played)
    buffer = learner.parts.buffer
    assert (buffer.num_inserted, buffer.num_held_out) == (500, 5 * num_held_out)
    num_trainable = 500 - 5 * num_held_out
    # Four uses of each sample beyond the first 100, and the tolerance of eight steps and one insert.
    assert learner.intake.allowed_steps() == (4 * (num_trainable - 100) + 8 * 8 + 4) // 8
    assert learner.state.num_samples == 500, "held-out samples were generated like the others"


def test_a_row_has_the_losses_on_held_out_samples(tmp_path, monkeypatch):
    learner = start(tmp_path / "x", monkeypatch, "learner.holdout_fraction=0.5")
    learner.insert(episodes(learner, 40))
    learner.reports.write_row(POOL)
    row = last_row(tmp_path / "x")
    for tag in ("holdout/total_loss", "holdout/policy_loss", "holdout/value_loss"):
        assert 0 < row[tag] < 20
    assert 0 <= row["holdout/value_accuracy"] <= 1
    assert row["holdout/total_loss"] == pytest.approx(
        row["holdout/policy_loss"] + row["holdout/value_loss"], rel=1e-5
    )


def test_without_a_holdout_no_row_speaks_of_it(tmp_path, monkeypatch):
    learner = start(tmp_path / "x", monkeypatch, "learner.holdout_fraction=0")
    learner.insert(episodes(learner, 40))
    learner.reports.write_row(POOL)
    assert learner.parts.buffer.num_held_out == 0
    assert not [tag for tag in last_row(tmp_path / "x") if tag.startswith("holdout/")]


def test_a_resumed_run_holds_out_the_same_samples_and_continues_bit_by_bit(tmp_path, monkeypatch):
    learner = start(tmp_path / "x", monkeypatch, "learner.holdout_fraction=0.5")
    learner.insert(episodes(learner, 40))
    learner.update()
    learner.save()
    resumed = start(tmp_path / "x", monkeypatch, "learner.holdout_fraction=0.5")
    assert resumed.parts.buffer.num_held_out == learner.parts.buffer.num_held_out > 0
    # The evaluation of one of them must not disturb its training.
    learner.parts.holdout.add_to(learner.reports.metrics, 300)
    for _ in range(3):
        learner.update()
        resumed.update()
    first, second = (run.parts.updater.released_weights() for run in (learner, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_batch_is_evaluated_for_every_hundred_updates_and_one_at_least():
    seeds: list[int] = []
    feeder: Any = SimpleNamespace(held_out=lambda seed: seeds.append(seed) or {})
    updater: Any = SimpleNamespace(evaluate=lambda batch: {})
    metrics: Any = SimpleNamespace(clock=lambda phase: nullcontext(), add=lambda measured: None)
    holdout = HoldoutEvaluation(updater, feeder, seed=1)
    # The first call may be that of a resumed run.
    for learner_step, num_batches in ((5000, 1), (5099, 1), (5350, 2), (6350, 10), (6350, 1)):
        seeds.clear()
        holdout.add_to(metrics, learner_step)
        assert len(seeds) == num_batches
        assert len(set(seeds)) == num_batches, "each with samples of its own"


def test_nothing_is_held_out_for_a_plugin_that_cannot_evaluate():
    silent: Any = SimpleNamespace(update=None)
    assert not can_evaluate(complete_updater(silent))
    able: Any = SimpleNamespace(update=None, evaluate=lambda batch: {})
    completed: CompleteUpdater = complete_updater(able)
    assert can_evaluate(completed)
