"""The statistics of an ablation."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.bench.ablation.comparison import compare


def hits(text: str) -> np.ndarray:
    return np.array([list(map(int, row)) for row in text.split()], dtype=float)


def test_one_seed_has_the_p_value_of_mcnemars_exact_test() -> None:
    # 1 position lost and 9 won of 20: 2 * (1 + 10) / 2**10.
    first = hits("1" + "0" * 9 + "1" * 10)
    other = hits("0" + "1" * 9 + "1" * 10)
    result = compare(other, first)
    assert result.p_value == pytest.approx(22 / 1024)
    assert result.difference == pytest.approx(0.4)
    assert result.low < 0.4 < result.high


def test_equal_answers_are_no_difference() -> None:
    same = hits("0110 1010")
    result = compare(same, same)
    assert (result.difference, result.low, result.high, result.p_value) == (0, 0, 0, 1)


def test_the_same_position_in_several_seeds_is_one_observation() -> None:
    """Four seeds that agree in each position say no more than one of them: both are the same test."""
    first = hits("1" + "0" * 9 + "1" * 10)
    other = hits("0" + "1" * 9 + "1" * 10)
    once, often = compare(other, first), compare(np.tile(other, (4, 1)), np.tile(first, (4, 1)))
    assert often.p_value == pytest.approx(once.p_value, abs=0.01)
    assert (often.low, often.high) == (once.low, once.high)


def test_differences_are_told_by_seed() -> None:
    assert compare(hits("1111 1100"), hits("1100 1100")).by_seed.tolist() == [0.5, 0.0]


def test_a_score_is_compared_with_one_half() -> None:
    result = compare(np.array([[1.0, 1.0, 0.75, 0.5] * 20]), np.array(0.5))
    assert result.difference == pytest.approx(0.3125)
    assert result.low > 0 and result.p_value < 0.001


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(40):
        first = (rng.random((2, 150)) < 0.7).astype(float)
        other = (rng.random((2, 150)) < 0.8).astype(float)
        result = compare(other, first)
        covered += result.low <= 0.1 <= result.high
    assert covered >= 34
