"""Rows are chosen as numpy's Generator.integers would, and leave its generator in the same state."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ddpzero.replay.row_choice import RandomWords, choose_rows


def words(seed: int = 5) -> RandomWords:
    return RandomWords(np.random.PCG64(seed))


def generator(seed: int = 5) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def chosen_by_numpy(
    numbers: np.random.Generator, window: int, newest_row: int, flags: np.ndarray, num_rows: int
) -> np.ndarray:
    """Rows without the flag: rounds of as many as are wanted, without those that have it."""
    rows = np.empty(0, np.int64)
    while len(rows) < num_rows:
        sampled = (newest_row - numbers.integers(window, size=num_rows)) % len(flags)
        rows = np.concatenate([rows, sampled[~flags[sampled]]])
    return rows[:num_rows]


@pytest.mark.parametrize("num_rows", [1, 7, 64, 3000])
@pytest.mark.parametrize(("window", "newest_row"), [(1, 3), (2, 0), (500, 499), (700, 20)])
def test_rows_are_those_that_numpy_samples(window: int, newest_row: int, num_rows: int) -> None:
    flags = np.random.default_rng(0).random(1000) < 0.3
    flags[[0, 3]] = False
    own, numpys = words(), generator()
    for _ in range(40):
        rows = choose_rows(own, window, newest_row, flags, False, num_rows)
        expected = chosen_by_numpy(numpys, window, newest_row, flags, num_rows)
        np.testing.assert_array_equal(rows, expected)
        assert own.generator().state == numpys.bit_generator.state


def test_small_rows_are_not_more_likely_in_a_window_that_does_not_divide_two_to_the_32() -> None:
    """A quarter of the words is rejected."""
    size = 3 * 2**30
    flags = np.broadcast_to(np.False_, size)
    own, numpys = words(), generator()
    for _ in range(5):
        rows = choose_rows(own, size, size - 1, flags, False, 500)
        np.testing.assert_array_equal(rows, chosen_by_numpy(numpys, size, size - 1, flags, 500))
    assert own.generator().state == numpys.bit_generator.state


def test_rows_that_are_too_rare_are_not_searched_forever() -> None:
    flags = np.zeros(1000, np.bool_)
    assert choose_rows(words(), 1000, 999, flags, True, 10) is None
    flags[17] = True
    assert choose_rows(words(), 1000, 999, flags, True, 10) is None
    rows = choose_rows(words(), 10, 20, flags, True, 10)
    assert rows is not None and set(rows) == {17}


@pytest.mark.parametrize("num_words", [0, 3, 4096, 9000])
def test_words_that_were_taken_back_come_again(num_words: int) -> None:
    flags = np.zeros(50, np.bool_)

    def rows(own: RandomWords) -> np.ndarray | None:
        return choose_rows(own, 50, 49, flags, False, 13)

    own = words()
    rows(own)
    position, state = own.position(), own.generator().state
    expected = rows(own)
    own.return_to(position)
    own.ahead(num_words)
    own.use(num_words)
    rows(own)
    own.return_to(position)
    assert own.generator().state == state
    np.testing.assert_array_equal(rows(own), expected)


@pytest.mark.parametrize(
    "draw",
    [
        lambda numbers: numbers.integers(10, size=5),
        lambda numbers: numbers.choice(np.arange(7), 3),
        lambda numbers: numbers.random(4),
    ],
)
def test_what_numpy_draws_in_between_is_part_of_the_same_sequence(
    draw: Callable[[np.random.Generator], np.ndarray],
) -> None:
    own, numpys = words(), generator()
    flags = np.zeros(90, np.bool_)
    for _ in range(3):
        for num_rows in (3, 8):
            rows = choose_rows(own, 90, 89, flags, False, num_rows)
            np.testing.assert_array_equal(rows, 89 - numpys.integers(90, size=num_rows))
        np.testing.assert_array_equal(own.draw(draw), draw(numpys))
        assert own.generator().state == numpys.bit_generator.state
