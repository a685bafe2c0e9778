"""Which optimizer trains what, and that Muon's updates are orthogonal."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ddpzero.networks.muon import Muon, orthogonalize
from ddpzero.networks.optimizers import make_optimizers
from ddpzero.settings import LearnerSettings


def tower() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8, 2))


@pytest.mark.parametrize("name", ["adamw", "muon", "sgd"])
def test_every_parameter_has_exactly_one_optimizer(name):
    network = tower()
    optimizers = make_optimizers(network, LearnerSettings(optimizer=name))
    held = [p for o in optimizers for group in o.param_groups for p in group["params"]]
    assert len(held) == len({id(p) for p in held}) == len(list(network.parameters()))


def test_muon_trains_the_tower_but_neither_stem_nor_heads():
    network = tower()
    muon = make_optimizers(network, LearnerSettings(optimizer="muon"))[-1]
    assert isinstance(muon, Muon)
    assert [p for group in muon.param_groups for p in group["params"]] == [network[1].weight]


def test_weights_decay_and_biases_do_not():
    network = tower()
    (adamw,) = make_optimizers(network, LearnerSettings(optimizer="adamw", weight_decay=0.1))
    for group in adamw.param_groups:
        for parameter in group["params"]:
            assert (group["weight_decay"] > 0) == (parameter.ndim > 1)


@pytest.mark.parametrize("shape", [(2, 8, 72), (3, 72, 8), (1, 16, 16)])
def test_orthogonalized_matrices_have_singular_values_near_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_a_batch_of_matrices_is_orthogonalized_one_by_one():
    torch.manual_seed(1)
    matrices = torch.randn(3, 8, 20)
    together = orthogonalize(matrices)
    for index in range(3):
        torch.testing.assert_close(together[index], orthogonalize(matrices[index : index + 1])[0])


def test_muon_minimizes_a_least_squares_problem():
    torch.manual_seed(2)
    target = torch.randn(8, 8, 3, 3)
    parameter = nn.Parameter(torch.zeros(8, 8, 3, 3))
    muon = Muon([parameter], lr=0.05)
    losses = []
    for _ in range(200):
        loss = (parameter - target).square().mean()
        losses.append(loss.item())
        muon.zero_grad()
        loss.backward()
        muon.step()
    assert losses[-1] < 0.2 * losses[0]
