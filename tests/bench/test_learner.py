"""Facts about the benchmark of the learner."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddpzero.bench.learner import bench_learner
from ddpzero.bench.noise import noise
from ddpzero.bench.run_loop import learner_of_noise
from ddpzero.config.hydra import compose_settings
from ddpzero.replay import Field


def test_a_learner_of_the_settings_is_measured():
    settings = compose_settings(
        ["+experiment=tic_tac_toe", "learner.batch_size=32", "network.blocks=1", "device=cpu"]
    )
    figures = {figure.figure: figure for figure in bench_learner(settings, seconds=0.1)}
    updates, samples = figures["updates_per_second"], figures["samples_per_second"]
    assert (updates.bench, updates.game, updates.unit) == ("learner", "tic_tac_toe", "1/s")
    assert updates.value > 0
    assert samples.value == pytest.approx(32 * updates.value)
    assert updates.settings["model"] == "b1c32"
    assert figures["bare_updates_per_second"].value > 0
    assert 0.1 < figures["fraction_of_bare_loop"].value < 2


def test_the_loop_is_that_of_a_run_with_its_batches_metrics_and_publications() -> None:
    overrides = ("learner.batch_size=32", "network.blocks=1", "learner.publish_interval_steps=2")
    settings = compose_settings(["+experiment=tic_tac_toe", "device=cpu", *overrides])
    with learner_of_noise(settings, seed=3) as learner:
        sampled, batches = learner.parts.buffer.num_sampled, list[dict[str, torch.Tensor]]()
        update = learner.parts.updater.update

        def noted(batch: dict[str, torch.Tensor], rate: float) -> dict[str, torch.Tensor]:
            batches.append(batch)
            return update(batch, rate)

        vars(learner.parts.updater)["update"] = noted
        for _ in range(4):
            learner.take_in_episodes()
            learner.update()
        assert learner.parts.buffer.num_sampled - sampled >= 4 * 32
        assert not torch.equal(batches[0]["observation"], batches[1]["observation"])
        assert learner.channel.weights_version == learner.state.counters.weights_version == 2
        row = learner.reports.metrics.collect()
    assert row["losses/total"] > 0 and "self_play/weights_lag" in row


def test_some_updates_measure_the_lag_of_the_weights_and_at_least_one_for_each_row() -> None:
    overrides = ("learner.batch_size=32", "network.blocks=1", "learner.publish_interval_steps=1")
    settings = compose_settings(["+experiment=tic_tac_toe", "device=cpu", *overrides])
    with learner_of_noise(settings, seed=3) as learner:
        lags = []
        for num_updates in (1, 1, 18):
            for _ in range(num_updates):
                learner.update()
            lags.append(learner.reports.metrics.collect()["self_play/weights_lag"])
    # Samples of noise are of version 0, and each update publishes; measured with updates 1; 2; 3, 8 and 16.
    assert lags == [0.0, 1.0, 8.0]


def test_noise_is_what_the_sample_spec_says():
    spec = {
        "observation": Field((4,), np.dtype(np.uint8)),
        "target": Field((3,), np.dtype(np.float16)),
        "version": Field((), np.dtype(np.int32)),
    }
    columns = noise(spec, 100, np.random.default_rng(0))
    assert {name: (column.dtype, column.shape) for name, column in columns.items()} == {
        name: (field.dtype, (100, *field.shape)) for name, field in spec.items()
    }
    assert columns["target"].min() >= 0
    assert columns["target"].max() <= 1
    assert not columns["version"].any(), "an index must stay valid"
