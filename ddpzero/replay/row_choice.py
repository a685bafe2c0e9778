"""Which rows of the ring a batch has. Called by buffer.py.

The rows are those that numpy's Generator.integers samples, in compiled code. An update leaves neither code nor data of
numpy in the processor's caches: between two updates Generator.integers takes 95 us for 64 rows, and what makes rows
without held-out samples of them 60 us; this takes 20 us.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

# Words drawn at once: at least so many, 16 KiB, and for several batches.
_LEAST_WORDS = 4096
_TIMES_AHEAD = 8


class WordPosition(NamedTuple):
    """A place in a sequence of words: so many after the state of numpy's PCG64."""

    generator: Mapping[str, Any]
    num_words: int


class RandomWords:
    """The random 32-bit words of a PCG64 generator. Some are drawn ahead, which its state does not show."""

    def __init__(self, generator: np.random.PCG64) -> None:
        self._start: Mapping[str, Any] = generator.state
        self._words = np.empty(0, np.uint32)
        self._num_used = 0

    def ahead(self, num_words: int) -> np.ndarray:
        """Return the next words, at least so many, which stay unused."""
        if self._num_used + num_words > len(self._words):
            self._start, self._num_used = self.generator().state, 0
            self._words = _words(self.generator(), max(_TIMES_AHEAD * num_words, _LEAST_WORDS))
        return self._words[self._num_used :]

    def use(self, num_words: int) -> None:
        """Go on after the next words."""
        self._num_used += num_words

    def generator(self) -> np.random.PCG64:
        """Return numpy's generator after the words that were used."""
        generator = np.random.PCG64()
        generator.state = dict(self._start)  # type: ignore[assignment]
        _words(generator, self._num_used)
        return generator

    def draw(self, draw: Callable[[np.random.Generator], np.ndarray]) -> np.ndarray:
        """Return what a function draws from numpy's generator after the words that were used; go on after that."""
        generator = self.generator()
        drawn = draw(np.random.Generator(generator))
        self.return_to(WordPosition(generator.state, 0))
        return drawn

    def position(self) -> WordPosition:
        """Return what `return_to` needs to go on with the words that are the next ones now."""
        return WordPosition(self._start, self._num_used)

    def return_to(self, position: WordPosition) -> None:
        """Go on as if no word had been used since `position`."""
        if position.generator is not self._start:
            self._start, self._words = position.generator, np.empty(0, np.uint32)
        self._num_used = position.num_words


def _words(generator: np.random.PCG64, num_words: int) -> np.ndarray:
    words: np.ndarray = np.random.Generator(generator).integers(
        2**32, size=num_words, dtype=np.uint32
    )
    return words


def choose_rows(
    words: RandomWords,
    window: int,
    newest_row: int,
    flags: np.ndarray,
    flag: bool,
    num_rows: int,
) -> np.ndarray | None:
    """Sample rows `[num_rows]` with a flag, uniformly with replacement; None if they are too rare for that.

    window: so many rows are sampled from: newest_row and those before it, in the ring. flags: `[capacity]` bool.
    """
    # Actors import this file, and numba takes half a second.
    from ddpzero.replay.row_kernel import choose

    rows = np.empty(num_rows, np.int64)
    # Enough for two rounds of sampling, unless numbers are rejected.
    num_ahead = 2 * num_rows
    while True:
        ahead = words.ahead(num_ahead)
        num_found, num_used = choose(ahead, window, newest_row, flags, flag, rows)
        if num_used <= len(ahead):
            break
        num_ahead = 2 * len(ahead)
    words.use(num_used)
    return rows if num_found == num_rows else None
