"""A step whose gradient is not finite changes nothing, and nobody waits for that decision."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from ddpzero.networks.gradient_step import GradientStep
from ddpzero.networks.optimizers import make_optimizers
from ddpzero.settings import LearnerSettings
from tests.torchrun import run_ranks

CPU = torch.device("cpu")


def make(optimizer: str) -> tuple[nn.Module, GradientStep]:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, padding=1), nn.Flatten(), nn.Linear(72, 2)
    )
    optimizers = make_optimizers(network, LearnerSettings(optimizer=optimizer, weight_decay=0.1))
    return network, GradientStep(optimizers, gradient_clip=1.0, device=CPU)


def loss_of(network: nn.Module, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    return (network(torch.randn(4, 3, 5, 5)) ** 2).mean()


def everything(network: nn.Module, step: GradientStep) -> list[torch.Tensor]:
    """Parameters and all that the optimizers remember."""
    remembered = [
        value
        for optimizer in step.optimizers
        for state in optimizer.state.values()
        for value in state.values()
    ]
    return [tensor.detach().clone() for tensor in (*network.parameters(), *remembered)]


def bad_loss(network: nn.Module, kind: str) -> torch.Tensor:
    if kind == "loss":
        return loss_of(network, 1) * math.nan
    # A finite loss with a gradient that is not: the derivative of a root at zero.
    return (network(torch.zeros(1, 3, 5, 5)) * 0.0).abs().sqrt().sum()


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
@pytest.mark.parametrize("kind", ["loss", "gradient"])
@pytest.mark.parametrize("steps_before", [0, 3])
def test_a_step_that_is_not_finite_changes_nothing(optimizer, kind, steps_before):
    network, step = make(optimizer)
    for seed in range(steps_before):
        step(loss_of(network, seed), 1e-2)
    before = everything(network, step)
    result = step(bad_loss(network, kind), 1e-2)
    assert result.is_skipped == 1
    assert int(step.skipped_in_a_row) == 1
    after = everything(network, step)
    # A first step that is skipped may leave new entries, all of them zero.
    for old, new in zip(before, after, strict=False):
        assert torch.equal(old, new)
    assert all(not new.any() for new in after[len(before) :])


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
def test_a_training_goes_on_after_a_skip_as_if_it_had_not_been(optimizer):
    (one, one_step), (other, other_step) = (make(optimizer) for _ in range(2))
    for seed in range(6):
        assert one_step(loss_of(one, seed), 1e-2).is_skipped == 0
        if seed in (0, 3):
            other_step(bad_loss(other, "loss"), 1e-2)
            assert int(other_step.skipped_in_a_row) == 1
        other_step(loss_of(other, seed), 1e-2)
        assert int(other_step.skipped_in_a_row) == 0
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
def test_a_step_is_that_of_the_optimizers_alone(optimizer):
    (one, step), (other, plain) = make(optimizer), make(optimizer)
    for seed in range(5):
        norm = step(loss_of(one, seed), 1e-2).norm
        other.zero_grad()
        loss_of(other, seed).backward()
        torch.testing.assert_close(norm, nn.utils.clip_grad_norm_(other.parameters(), 1.0))
        for alone in plain.optimizers:
            for group in alone.param_groups:
                group["lr"] = 1e-2 * group["lr_factor"]
            alone.step()
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_gradients_are_clipped_to_the_norm():
    network, step = make("sgd")
    before = copy.deepcopy(network)
    norm = step(1000.0 * loss_of(network, 0), 1e-2).norm
    assert norm > 1.0
    squares = sum(float(p.grad.square().sum()) for p in network.parameters() if p.grad is not None)
    assert math.isclose(math.sqrt(squares), 1.0, rel_tol=1e-4)
    assert not torch.equal(before[0].weight, network[0].weight)


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
def test_a_trial_tells_whether_a_step_would_be_skipped_and_changes_nothing(optimizer):
    network, step = make(optimizer)
    step(loss_of(network, 0), 1e-2)
    before = everything(network, step)
    assert step.has_finite_gradient(loss_of(network, 1))
    for kind in ("loss", "gradient"):
        assert not step.has_finite_gradient(bad_loss(network, kind))
    assert all(map(torch.equal, before, everything(network, step)))
    assert int(step.skipped_in_a_row) == 0


SKIP_ON_TWO_RANKS = """
import torch
from torch import nn
from ddpzero.run.ranks import join_ranks
from ddpzero.networks.gradient_step import GradientStep
from ddpzero.networks.optimizers import make_optimizers
from ddpzero.settings import LearnerSettings

torch.manual_seed(0)
with join_ranks("cpu", 30) as ranks:
    network = nn.Linear(3, 2)
    wrapped = ranks.wrap(network)
    step = GradientStep(make_optimizers(network, LearnerSettings()), 1.0, ranks.device)
    skipped, trials = [], []
    for bad_rank in (None, 1, 0, None):
        loss = wrapped(torch.full((4, 3), 1.0 + ranks.rank)).square().mean()
        bad = torch.nan if ranks.rank == bad_rank else 1.0
        trials.append(step.has_finite_gradient(loss * bad))
        loss = wrapped(torch.full((4, 3), 1.0 + ranks.rank)).square().mean()
        skipped.append(int(step(loss * bad, 0.1).is_skipped))
    say(skipped=skipped, trials=trials, weights=network.weight.flatten().tolist())
"""


@pytest.mark.slow
def test_all_ranks_skip_what_is_not_finite_at_one_of_them(tmp_path):
    first, second = run_ranks(tmp_path, SKIP_ON_TWO_RANKS)
    assert first == second
    assert first["skipped"] == [0, 1, 1, 0]
    assert first["trials"] == [True, False, False, True]
    assert all(map(math.isfinite, first["weights"]))
