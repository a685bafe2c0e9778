"""The draws of the search have the distributions that they claim."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.search.sampling import choose_weighted, next_gamma, next_gumbel

NUM_DRAWS = 200_000


@compiled(cache=False)
def fill_gumbel(state, draws):
    for index in range(draws.shape[0]):
        draws[index] = next_gumbel(state)


@compiled(cache=False)
def fill_gamma(state, shape, draws):
    for index in range(draws.shape[0]):
        draws[index] = next_gamma(state, shape)


@compiled(cache=False)
def fill_choices(state, weights, draws):
    for index in range(draws.shape[0]):
        draws[index] = choose_weighted(weights, state)


def test_gumbel_draws_have_the_gumbel_distribution():
    draws = np.empty(NUM_DRAWS)
    fill_gumbel(new_random_states(0, 1)[0], draws)
    assert np.isfinite(draws).all()
    for quantile in (0.01, 0.1, 0.5, 0.9, 0.99):
        expected = -np.log(-np.log(quantile))
        assert (draws < expected).mean() == pytest.approx(quantile, abs=0.005)


@pytest.mark.parametrize("shape", [0.03, 0.5, 1.0, 4.0])
def test_gamma_draws_have_mean_and_variance_of_their_shape(shape: float):
    draws = np.empty(NUM_DRAWS)
    fill_gamma(new_random_states(0, 1)[0], shape, draws)
    assert (draws >= 0).all()
    assert draws.mean() == pytest.approx(shape, rel=0.05)
    assert draws.var() == pytest.approx(shape, rel=0.1)


def test_choices_follow_their_weights_and_never_fall_on_weight_zero():
    weights = np.array([0.0, 1.0, 0.0, 3.0, 4.0, 0.0])
    draws = np.empty(NUM_DRAWS, np.int64)
    fill_choices(new_random_states(0, 1)[0], weights, draws)
    shares = np.bincount(draws, minlength=6) / NUM_DRAWS
    np.testing.assert_allclose(shares, weights / 8, atol=0.005)
    assert (shares[weights == 0] == 0).all()
