"""Facts about medians and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from ddpzero.bench.peers.ratios import estimate, ratio


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds():
    # The third round was slow for both.
    found = ratio([40.0, 30.0, 4.0, 36.0], [10.0, 10.0, 1.0, 9.0])
    assert found == (4.0, 3.0, 4.0)


def test_one_round_alone_is_its_own_interval():
    assert ratio([6.0], [2.0]) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize(
    ("num_values", "k"), [(2, 1), (5, 1), (6, 1), (8, 1), (9, 2), (10, 2), (20, 6)]
)
def test_the_interval_lies_between_the_kth_values(num_values, k):
    """k: from a table of the sign test."""
    found = estimate([float(value) for value in range(1, num_values + 1)])
    assert found == ((num_values + 1) / 2, k, num_values + 1 - k)
    if num_values >= 6:
        assert 2 * binom.cdf(k - 1, num_values, 0.5) <= 0.05 < 2 * binom.cdf(k, num_values, 0.5)


def test_the_interval_contains_the_median_of_a_skewed_distribution_as_often_as_it_says():
    rng = np.random.default_rng(0)
    samples = np.exp(rng.standard_normal((2000, 10)))
    intervals = [estimate(list(sample)) for sample in samples]
    share = np.mean([found.low <= 1.0 <= found.high for found in intervals])
    assert 0.96 <= share <= 0.995
