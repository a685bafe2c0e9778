"""learner.gradient_accumulation: parts of a batch, one after the other, make the step of the whole batch."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ddpzero.algorithms.base import CompleteUpdater
from ddpzero.algorithms.defaults import complete_updater
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.noise import noise
from ddpzero.config.hydra import compose_settings
from ddpzero.replay import SampleSpec
from ddpzero.run.ranks import Ranks
from ddpzero.settings import LearnerSettings, Settings
from ddpzero.system.errors import UserError
from ddpzero.training.parts import build_parts
from tests.torchrun import run_ranks

DATA = Path(__file__).parent.parent / "data" / "algorithms"
TEAM = [
    *("algorithm=ddpg", "game=snakes", "game.rows=6", "game.columns=8", "game.snakes=4"),
    *("game.steps=20", "network.width=16", "algorithm.centralized_critic=true"),
]
PLUGINS = {
    "alphazero with all heads on two boards": [
        *("game=dots_and_boxes", "game.rows=2", "game.columns=2", "loss=all_heads"),
        *("curriculum.stages=[{boards:[{game:{rows:1}},{}]}]", "algorithm.surprise_weight=0.5"),
        *("network.blocks=1", "network.channels=16"),
    ],
    "alphazero in Go": [
        "+experiment=go9",
        "game.size=5",
        "network.blocks=1",
        "network.channels=16",
    ],
    "ddpg": TEAM,
    "ddpg gumbel": [*TEAM, "algorithm.estimator=gumbel"],
    "ddpg softmax": [*TEAM, "algorithm.estimator=softmax"],
}
# SGD, with which a step is proportional to the gradient: AdamW would enlarge errors of rounding.
COMMON = [
    *("device=cpu", "learner.precision=float32", "learner.optimizer=sgd", "learner.compile=false"),
    *("learner.batch_size=24", "learner.gradient_clip=1000", "replay.capacity=100"),
    *("replay.min_samples=50", "learner.warmup_steps=0"),
]


def settings_of(plugin: str, num_parts: int) -> Settings:
    parts = f"learner.gradient_accumulation={num_parts}"
    return compose_settings([*PLUGINS[plugin], *COMMON, parts])


def updater_of(settings: Settings) -> tuple[CompleteUpdater, SampleSpec]:
    torch.manual_seed(0)
    algorithm = load_algorithm(settings)
    updater = algorithm.make_updater(
        algorithm.make_networks(), lambda module: module, settings.learner, torch.device("cpu"), 0
    )
    return updater, algorithm.sample_spec()


def batch_of(spec: SampleSpec, seed: int, num_rows: int = 24) -> dict[str, torch.Tensor]:
    """Random samples, of which the first half has no policy target, score or owners more often than the second."""
    rng = np.random.default_rng(seed)
    columns = noise(spec, num_rows, rng)
    for name in ("policy_target", "next_policy_target"):
        if name in columns:
            columns[name] /= columns[name].sum(1, keepdims=True)
            columns[name][: num_rows // 3] = 0.0
    if "is_played_out" in columns:
        columns["is_played_out"][: num_rows // 2] = False
    if "board" in columns:
        columns["board"][:] = rng.integers(0, 2, num_rows)
    return {name: torch.from_numpy(column) for name, column in columns.items()}


@pytest.mark.parametrize("num_parts", [2, 4])
@pytest.mark.parametrize("plugin", PLUGINS)
def test_parts_make_the_step_of_the_whole_batch(plugin: str, num_parts: int) -> None:
    updaters = []
    for parts in (1, num_parts):
        updater, spec = updater_of(settings_of(plugin, parts))
        assert updater.accumulates_gradients()
        updaters.append(updater)
    whole, in_parts = updaters
    start = {name: value.clone() for name, value in whole.released_weights().items()}
    for seed in range(3):
        batch = batch_of(spec, seed)
        expected, measured = (updater.update(batch, 1e-2) for updater in updaters)
        assert expected.keys() == measured.keys()
        for name in expected:
            if name.startswith(("losses/", "gradients/", "q_values/")):
                torch.testing.assert_close(measured[name], expected[name], rtol=1e-4, atol=1e-5)
        assert in_parts.is_trainable(batch) == whole.is_trainable(batch)
    has_changed = False
    for name, value in whole.released_weights().items():
        has_changed |= not torch.equal(value, start[name])
        torch.testing.assert_close(in_parts.released_weights()[name], value, rtol=1e-4, atol=1e-6)
    assert has_changed


def test_a_part_that_is_not_finite_skips_the_step() -> None:
    updater, spec = updater_of(settings_of("alphazero in Go", 4))
    before = {name: value.clone() for name, value in updater.released_weights().items()}
    batch = batch_of(spec, 0)
    batch["root_value"][7] = torch.nan
    assert not updater.is_trainable(batch)
    assert updater.update(batch, 1e-2)["gradients/skipped_share"] == 1
    for name, value in updater.released_weights().items():
        assert torch.equal(value, before[name])


TWO_RANKS = """
import torch
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from ddpzero.run.ranks import join_ranks
from tests.algorithms.test_accumulation import batch_of, load_algorithm, settings_of

with join_ranks("cpu", 60) as ranks:
    answer = {}
    for parts in (1, 3):
        sent = []
        def counted(state, bucket):
            sent.append(bucket.buffer().numel())
            return allreduce_hook(None, bucket)
        def wrap(module):
            wrapped = ranks.wrap(module)
            wrapped.register_comm_hook(None, counted)
            return wrapped
        settings = settings_of(PLUGIN, parts)
        torch.manual_seed(0)
        algorithm = load_algorithm(settings)
        updater = algorithm.make_updater(
            algorithm.make_networks(), wrap, settings.learner, ranks.device, seed=ranks.rank
        )
        for step in range(3):
            updater.update(batch_of(algorithm.sample_spec(), 10 * step + ranks.rank), 1e-2)
        weights = updater.released_weights()
        answer[str(parts)] = {name: value.tolist() for name, value in weights.items()}
        answer[f"sent{parts}"] = sum(sent)
say(**answer)
"""


@pytest.mark.slow
@pytest.mark.parametrize("plugin", ["alphazero with all heads on two boards", "ddpg"])
def test_ranks_average_their_gradients_once_for_all_parts(tmp_path: Path, plugin: str) -> None:
    first, second = run_ranks(tmp_path, f"PLUGIN = {plugin!r}\n{TWO_RANKS}", 2, 120)
    assert first == second
    assert first["sent1"] == first["sent3"] > 0
    for name, value in first["1"].items():
        accumulated = torch.tensor(first["3"][name])
        torch.testing.assert_close(accumulated, torch.tensor(value), rtol=1e-4, atol=1e-6)


def test_parts_that_are_not_equally_large_are_refused() -> None:
    with pytest.raises(
        UserError,
        match=r"gradient_accumulation=3 must divide learner\.batch_size=256, .* Choose 2, for instance",
    ):
        LearnerSettings(batch_size=256, gradient_accumulation=3)
    with pytest.raises(UserError, match=r"gradient_accumulation=0 must be at least 1"):
        LearnerSettings(gradient_accumulation=0)


def test_an_algorithm_that_trains_on_whole_batches_only_is_told_so(
    alone: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of("alphazero in Go", 2)
    updater_class: Any = type(updater_of(settings)[0])
    # As with a plugin that does not have the method.
    unaware: Any = SimpleNamespace(update=None)
    default = complete_updater(unaware).accumulates_gradients
    monkeypatch.setattr(updater_class, "accumulates_gradients", lambda self: default())
    with pytest.raises(UserError, match=r"gradient_accumulation=2: .* trains on whole batches"):
        build_parts(settings, alone)
