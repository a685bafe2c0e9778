"""What a diverged training is known by."""

from __future__ import annotations

import math

import pytest
import torch

from ddpzero.run.divergence import skipping_problem, state_tensors, weights_problem


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_number_that_is_not_finite_is_a_problem(value):
    weights = {"policy.weight": torch.zeros(3, 3), "policy.bias": torch.zeros(3)}
    assert weights_problem(weights) == ""
    weights["policy.bias"][1] = value
    assert weights_problem(weights) == "policy.bias is not finite"


def test_a_weight_of_absurd_size_is_a_problem():
    assert weights_problem({"stem": torch.tensor([0.5, -2e7])}) == "stem has grown to 2e+07"


def test_counts_and_empty_tensors_are_none():
    assert weights_problem({"steps": torch.tensor([10**12]), "none": torch.empty(0)}) == ""
    assert weights_problem({}) == ""


def test_what_optimizers_remember_may_be_large_but_not_nan():
    state = {"optimizers": [{"state": {0: {"exp_avg_sq": torch.tensor([1e20])}}}], "ema": {}}
    assert weights_problem(state_tensors(state)) == ""
    state["optimizers"][0]["state"][0]["exp_avg_sq"][0] = math.nan
    assert weights_problem(state_tensors(state)) == "optimizers[0].state.0.exp_avg_sq is not finite"


def test_a_few_skipped_updates_are_chance_and_many_are_the_end():
    assert skipping_problem(16) == ""  # float16 may begin so
    assert "the last 25 updates were skipped" in skipping_problem(25)
