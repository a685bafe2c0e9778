"""Neither learner nor actors run ahead of samples_per_insert, and one of them may always go on."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.replay import SampleBalance
from ddpzero.settings import ReplaySettings
from ddpzero.system.errors import UserError


def test_the_learner_waits_for_the_first_samples():
    balance = SampleBalance(4.0, min_samples=1000, batch_size=64)
    assert balance.allowed_steps(999, 0) == 0
    assert balance.allowed_steps(1000, 0) > 0


def test_actors_may_fill_the_buffer_to_min_samples_before_the_first_step():
    assert SampleBalance(4.0, min_samples=1000, batch_size=64).allowed_inserts(0, 0) >= 1000


def test_the_first_samples_are_no_credit_for_a_burst_of_steps():
    balance = SampleBalance(4.0, min_samples=100_000, batch_size=64, tolerance_steps=8)
    assert balance.allowed_steps(100_000, 0) == 8


def test_new_samples_buy_as_many_draws_as_the_ratio_says():
    balance = SampleBalance(4.0, min_samples=1000, batch_size=64, tolerance_steps=8)
    before = balance.allowed_steps(1000, 0)
    assert balance.allowed_steps(1000 + 160, 0) - before == 160 * 4 // 64


def test_draws_allow_as_many_inserts_as_the_ratio_says():
    balance = SampleBalance(4.0, min_samples=1000, batch_size=64, tolerance_steps=8)
    before = balance.allowed_inserts(1000, 0)
    assert balance.allowed_inserts(1000, 64 * 10) - before == 64 * 10 // 4


@pytest.mark.parametrize("samples_per_insert", [0.3, 1.0, 7.5, 400.0])
@pytest.mark.parametrize("batch_size", [1, 32, 1000])
def test_one_side_may_always_go_on(samples_per_insert, batch_size):
    balance = SampleBalance(samples_per_insert, 50, batch_size, tolerance_steps=1)
    for num_inserted in range(0, 400, 7):
        for num_sampled in range(0, 4000, 61):
            assert balance.allowed_steps(num_inserted, num_sampled) or balance.allowed_inserts(
                num_inserted, num_sampled
            )


@pytest.mark.parametrize("actors_are_eager", [True, False])
@pytest.mark.parametrize("samples_per_insert", [0.5, 4.0, 16.0])
def test_whoever_is_faster_the_ratio_holds(actors_are_eager, samples_per_insert):
    """Episodes of 20 to 60 samples against batches of 128; the eager side takes all that it may."""
    rng = np.random.default_rng(0)
    balance = SampleBalance(samples_per_insert, min_samples=500, batch_size=128)
    num_inserted = num_sampled = 0
    for _ in range(4000):
        insert = balance.allowed_inserts(num_inserted, num_sampled) > 0
        step = balance.allowed_steps(num_inserted, num_sampled) > 0
        assert insert or step
        if insert and (actors_are_eager or not step):
            num_inserted += int(rng.integers(20, 60))
        else:
            num_sampled += 128
        slack = 9 * 128 + samples_per_insert * 61
        if num_sampled:
            expected = samples_per_insert * (num_inserted - 500)
            assert abs(num_sampled - expected) <= slack


def test_the_slower_side_is_not_stopped_at_every_step():
    """After the tolerance is used up by one side, the other may make several moves in one go."""
    balance = SampleBalance(4.0, min_samples=100, batch_size=64, tolerance_steps=8)
    ahead = 100 + balance.allowed_inserts(100, 0)
    assert balance.allowed_inserts(ahead, 0) == 0
    assert balance.allowed_steps(ahead, 0) >= 16


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("inf"), float("nan")])
def test_a_ratio_that_cannot_be_held_is_refused(ratio):
    with pytest.raises(UserError, match=r"replay\.samples_per_insert"):
        ReplaySettings(samples_per_insert=ratio)
