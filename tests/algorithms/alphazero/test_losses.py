"""Facts about AlphaZero's losses and targets as functions of small tables."""

from __future__ import annotations

import math

import pytest
import torch

from ddpzero.algorithms.alphazero.losses import (
    Outputs,
    OwnershipTarget,
    ScoreTarget,
    Targets,
    ownership_loss,
    policy_loss,
    score_loss,
    short_value_loss,
    soft_policy_target,
    total_loss,
    value_loss,
    value_target,
)
from ddpzero.algorithms.alphazero.settings import LossSettings

POSITIONS = {
    "outcome": torch.tensor([1.0, 0.0, -1.0]),
    "outcome_draw": torch.tensor([0.0, 1.0, 0.0]),
    "root_value": torch.tensor([0.9, -0.4, 0.0]),
    "root_draw": torch.tensor([0.5, 0.3, 1.0]),
}


def test_the_value_target_is_the_outcome_when_the_search_has_no_weight():
    expected = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert torch.equal(value_target(POSITIONS, root_value_weight=0.0), expected)


def test_the_value_target_of_the_search_keeps_its_expectation():
    target = value_target(POSITIONS, root_value_weight=1.0)
    torch.testing.assert_close(target.sum(1), torch.ones(3))
    torch.testing.assert_close(target[:, 0] - target[:, 2], POSITIONS["root_value"])
    # A value of 0.9 leaves a draw no more than 0.1.
    torch.testing.assert_close(target[:, 1], torch.tensor([0.1, 0.3, 1.0]))


def test_the_lambda_return_takes_the_place_of_the_mix():
    batch = {
        **POSITIONS,
        "lambda_value": torch.tensor([0.5, 0.0, -0.8]),
        "lambda_draw": torch.tensor([0.25, 1.0, 0.9]),
    }
    expected = torch.tensor([[0.625, 0.25, 0.125], [0.0, 1.0, 0.0], [0.0, 0.2, 0.8]])
    torch.testing.assert_close(value_target(batch, root_value_weight=0.5), expected)


def test_the_soft_policy_is_the_fourth_root_of_the_policy():
    policy = torch.tensor([[16 / 17, 1 / 17, 0.0], [0.0, 1.0, 0.0]])
    expected = torch.tensor([[2 / 3, 1 / 3, 0.0], [0.0, 1.0, 0.0]])
    torch.testing.assert_close(soft_policy_target(policy), expected)


def test_samples_without_a_policy_target_do_not_train_the_policy():
    """Neither by their own rows, nor by making the mean over the others smaller."""
    logits = torch.log(torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]])).requires_grad_()
    target = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    for weights in (None, torch.tensor([1.0, 7.0, 1.0])):
        loss, metrics = policy_loss(logits, target, weights)
        expected = pytest.approx((math.log(2) + math.log(5)) / 2)
        assert loss.item() == expected
        assert metrics["losses/policy"].item() == expected
        assert metrics["policy/kl_to_search"].item() == expected
        (gradient,) = torch.autograd.grad(loss, logits)
        assert gradient[1].tolist() == [0.0, 0.0]
        assert gradient[0].abs().sum() > 0
    loss, _ = policy_loss(logits, torch.zeros(3, 2))
    assert loss.item() == 0.0
    assert soft_policy_target(target)[1].tolist() == [0.0, 0.0]


def test_weights_of_samples_change_the_policys_loss_but_not_its_metrics():
    logits = torch.log(torch.tensor([[0.5, 0.5], [0.2, 0.8]]))
    target = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    loss, metrics = policy_loss(logits, target, torch.tensor([0.5, 1.5]))
    assert float(loss) == pytest.approx((0.5 * math.log(2) + 1.5 * math.log(5)) / 2)
    assert float(metrics["losses/policy"]) == pytest.approx((math.log(2) + math.log(5)) / 2)
    assert metrics["policy/kl_to_search"] == metrics["losses/policy"]


def test_the_loss_of_short_values_is_a_mean_over_horizons():
    target = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]])
    logits = torch.log(
        torch.tensor([[[0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [1 / 3, 1 / 3, 1 / 3]]])
    )
    expected = (math.log(2) + math.log(4) + math.log(3)) / 3
    assert float(short_value_loss(logits, target)) == pytest.approx(expected)


def test_accuracy_counts_decided_games_alone():
    logits = torch.tensor([[3.0, 0, 0], [0, 0, 3], [3, 0, 0]])
    _, metrics = value_loss(logits, torch.full((3, 3), 1 / 3), torch.tensor([1.0, 1.0, 0.0]))
    assert metrics["value/accuracy"] == 0.5


def test_the_mean_of_the_score_is_that_of_its_distribution():
    logits = torch.log(torch.tensor([[0.5, 0.0, 0.0, 0.25, 0.25], [0.0, 0.0, 1.0, 0.0, 0.0]]))
    points = torch.tensor([-2.0, 1.0])
    target = ScoreTarget(points, torch.zeros(2, 5), is_known=torch.ones(2))
    _, metrics = score_loss(logits, target)
    assert metrics["score/mean"] == pytest.approx((-0.25 + 0.0) / 2)
    assert metrics["score/mean_error"] == pytest.approx((1.75 + 1.0) / 2)


def test_scores_that_the_board_does_not_allow_get_no_probability():
    is_possible = torch.tensor([[False, True, True, True, False]])
    distribution = torch.tensor([[0.0, 0, 1, 0, 0]])
    target = ScoreTarget(torch.zeros(1), distribution, torch.ones(1), is_possible)
    loss, _ = score_loss(torch.zeros(1, 5), target)
    assert loss == pytest.approx(math.log(3))


def test_owners_off_the_board_teach_nothing():
    owners, is_on_board = torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, 0.0]])
    logits = torch.tensor([[0.0, 9.0]])
    loss = ownership_loss(logits, OwnershipTarget(owners, is_on_board, torch.ones(1)))
    assert loss == pytest.approx(math.log(2))


def test_the_total_is_the_weighted_sum_of_the_losses():
    policy = torch.tensor([[0.25, 0.75]])
    value = value_target(POSITIONS, root_value_weight=0.5)[:1]
    targets = Targets(policy, value, POSITIONS["outcome"][:1], next_policy=policy)
    outputs = Outputs(
        torch.zeros(1, 2), torch.zeros(1, 3), {"next_policy": torch.tensor([[1.0, 0.0]])}
    )
    weights = LossSettings(policy=2.0, value=3.0, next_policy=5.0)
    total, metrics = total_loss(outputs, targets, weights)
    expected = 2 * metrics["losses/policy"] + 3 * metrics["losses/value"]
    assert total == pytest.approx(float(expected + 5 * metrics["losses/next_policy"]))
