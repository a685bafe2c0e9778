"""Facts about what updaters share."""

from __future__ import annotations

import copy

import pytest
import torch

from ddpzero.algorithms.updates import MovingAverage, TrainedNetwork, seed_of_update
from ddpzero.settings import LearnerSettings

LEARNER = LearnerSettings(optimizer="adamw", ema_decay=0.5)


def trained(learner: LearnerSettings = LEARNER) -> TrainedNetwork:
    torch.manual_seed(0)
    return TrainedNetwork(
        torch.nn.Linear(3, 1), lambda network: network, learner, torch.device("cpu")
    )


def step(network: TrainedNetwork, scale: float = 1.0) -> dict[str, torch.Tensor]:
    return network.step((scale * network.forward(torch.ones(4, 3))).square().mean(), 0.1)


def test_a_young_average_follows_faster_than_its_decay():
    average = MovingAverage({"w": torch.zeros(1)}, decay=0.9)
    average.move({"w": torch.ones(1)}, num_updates=1)
    assert average.values["w"] == pytest.approx(1 - 2 / 11)
    average.move({"w": torch.zeros(1)}, num_updates=1_000_000)
    assert average.values["w"] == pytest.approx(0.9 * (1 - 2 / 11))


def test_every_update_has_a_seed_that_a_resumed_run_computes_again():
    assert len({seed_of_update(seed, update) for seed in (1, 2) for update in range(100)}) == 200
    assert 0 <= seed_of_update(2**63 - 1, 10**9) < 2**63


def test_a_step_lowers_the_loss_and_moves_the_average():
    network = trained()
    before = {name: value.clone() for name, value in network.average.values.items()}
    first = step(network)["losses/total"]
    assert step(network)["losses/total"] < first
    assert any(
        not torch.equal(before[name], value) for name, value in network.average.values.items()
    )
    assert network.num_updates == 2


def test_a_step_that_is_not_finite_changes_no_parameter():
    network = trained()
    before = network.network.weight.detach().clone()
    assert step(network, scale=float("inf"))["gradients/skipped_share"] == 1
    assert network.skipped_in_a_row() == 1
    assert torch.equal(network.network.weight, before)


def test_a_restored_network_continues_bit_by_bit():
    straight, restored = trained(), trained()
    for _ in range(3):
        step(straight)
    assert restored.load_state(copy.deepcopy(straight.state())) == []
    assert torch.equal(step(straight)["losses/total"], step(restored)["losses/total"])
    assert torch.equal(straight.network.weight, restored.network.weight)


def test_optimizers_of_another_kind_start_over_and_a_sentence_says_so():
    network = trained()
    step(network)
    other = trained(LearnerSettings(optimizer="sgd"))
    (sentence,) = other.load_state(network.state())
    assert sentence.startswith("learner.optimizer=sgd begins anew")
    assert torch.equal(other.network.weight, network.network.weight)
