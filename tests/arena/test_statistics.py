"""Facts about scores, intervals and Elo."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ddpzero.arena.statistics import elo_difference, paired_score_interval, share_interval


@pytest.mark.parametrize(
    ("score", "elo"), [(0.5, 0.0), (10 / 11, 400.0), (1 / 11, -400.0), (0.64, 99.95)]
)
def test_elo_of_a_score(score, elo):
    assert elo_difference(score) == pytest.approx(elo, abs=0.01)


def test_elo_of_a_clean_sweep_is_infinite():
    assert elo_difference(1.0) == math.inf
    assert elo_difference(0.0) == -math.inf


def test_a_clean_sweep_leaves_room_for_doubt():
    low, high = paired_score_interval(np.ones(100))
    assert 0.96 < low < 0.98
    assert high == 1.0


def test_more_pairs_make_the_interval_narrower():
    widths = [
        np.subtract(*paired_score_interval(np.tile([0.0, 0.5, 1.0], n))[::-1]) for n in (5, 50, 500)
    ]
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


def test_pairs_that_always_split_are_told_from_pairs_that_are_lost_or_won_together():
    # 100 games won and 100 lost in both cases.
    split = paired_score_interval(np.full(100, 0.5))
    together = paired_score_interval(np.tile([0.0, 1.0], 50))
    assert split[1] - split[0] < 0.3 * (together[1] - together[0])


@pytest.mark.parametrize("score", [0.05, 0.5, 0.9])
def test_the_paired_interval_holds_the_truth_about_95_times_in_100(score):
    rng = np.random.default_rng(0)
    num_held = 0
    for _ in range(1000):
        low, high = paired_score_interval(rng.binomial(2, score, size=50) / 2)
        num_held += low <= score <= high
    assert 920 <= num_held <= 985


def test_share_interval_is_wilsons():
    assert share_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert share_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert share_interval(0, 0) == (0.0, 1.0)
