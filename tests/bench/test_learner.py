"""Facts about the benchmark of the learner."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.bench.learner import bench_learner, noise
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
