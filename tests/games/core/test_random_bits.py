from __future__ import annotations

import numpy as np
import pytest

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.random_bits import (
    choose_uniformly,
    new_random_states,
    next_below,
    next_float,
    next_uint64,
)


@compiled(cache=False)
def fill_bits(state, drawn):
    for index in range(drawn.shape[0]):
        drawn[index] = next_uint64(state)


@compiled(cache=False)
def fill_floats(state, drawn):
    for index in range(drawn.shape[0]):
        drawn[index] = next_float(state)


@compiled(cache=False)
def fill_below(state, bound, drawn):
    for index in range(drawn.shape[0]):
        drawn[index] = next_below(state, bound)


@compiled(cache=False)
def fill_choices(state, mask, drawn):
    for index in range(drawn.shape[0]):
        drawn[index] = choose_uniformly(mask, state)


def test_the_bits_are_those_of_the_authors_program():
    drawn = np.zeros(10, dtype=np.uint64)
    fill_bits(np.array([1, 2], dtype=np.uint64), drawn)
    assert drawn.tolist() == [
        393217,
        669327710093319,
        1732421326133921491,
        11394790081659126983,
        9555452776773192676,
        3586421180005889563,
        1691397964866707553,
        10735626796753111697,
        15216282715349408991,
        14247243556711267923,
    ]


def test_states_depend_on_the_seed_and_differ():
    states = new_random_states(7, 100)
    assert np.array_equal(states, new_random_states(7, 100))
    assert len(np.unique(states)) == 200
    assert not np.array_equal(states, new_random_states(8, 100))


def test_floats_are_spread_evenly_over_0_to_1():
    drawn = np.zeros(100_000)
    fill_floats(new_random_states(1, 1)[0], drawn)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts, _ = np.histogram(drawn, bins=10, range=(0, 1))
    assert is_even(counts)


@pytest.mark.parametrize("bound", [1, 2, 7, 225, 1000])
def test_bounded_numbers_are_equally_likely(bound):
    drawn = np.zeros(200_000, dtype=np.int64)
    fill_below(new_random_states(2, 1)[0], bound, drawn)
    assert is_even(np.bincount(drawn, minlength=bound))


def test_bounds_that_do_not_divide_the_range_are_not_biased():
    # Three quarters of 2^32: without redrawing, one number in three would be twice as likely as the others.
    bound = 3 * 2**30
    drawn = np.zeros(90_000, dtype=np.int64)
    fill_below(new_random_states(3, 1)[0], bound, drawn)
    assert drawn.max() < bound
    assert is_even(np.bincount(drawn % 3, minlength=3))


@pytest.mark.parametrize(
    "legal", [[3], [0, 224], [5, 6, 7, 100], list(range(0, 225, 2)), list(range(225))]
)
def test_choices_are_equally_likely_among_the_legal_only(legal):
    mask = np.zeros(225, dtype=np.bool_)
    mask[legal] = True
    drawn = np.zeros(200_000, dtype=np.int64)
    fill_choices(new_random_states(4, 1)[0], mask, drawn)
    counts = np.bincount(drawn, minlength=225)
    assert counts[~mask].sum() == 0
    assert is_even(counts[mask])


def is_even(counts: np.ndarray) -> bool:
    """Whether counts look like draws from equally likely cells: chi-square within six standard deviations."""
    expected = counts.sum() / len(counts)
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    freedom = len(counts) - 1
    return abs(chi_square - freedom) <= 6 * np.sqrt(2 * max(freedom, 1))
