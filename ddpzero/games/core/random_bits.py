"""Random numbers for compiled code: xoroshiro128++ (Blackman and Vigna 2019), its state passed in by the caller.

Called by the search, by rollouts and by benchmarks. Numba's own generator is one hidden state per thread: it cannot
be saved in a checkpoint or belong to one game, which is what makes a resumed run equal to one never stopped.

A state is a row `[2]` uint64, changed in place by every draw.
"""

from __future__ import annotations

import numpy as np

from ddpzero.games.core.compiled import compiled

_LOW_32_BITS = np.uint64(0xFFFFFFFF)
_UNITS_OF_FLOAT = 1.0 / 2**53
# Draws before `choose_uniformly` counts instead: with a quarter of the entries true one in ten choices counts.
_MAX_TRIES = 8


def new_random_states(seed: int, num_states: int) -> np.ndarray:
    """`[num_states, 2]` uint64, independent streams that depend on nothing but the seed and their row."""
    return np.random.SeedSequence(seed).generate_state(2 * num_states, np.uint64).reshape(-1, 2)


@compiled
def _rotate_left(word, bits):
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@compiled
def next_uint64(state):
    """Draw 64 random bits."""
    first, second = state[0], state[1]
    bits = _rotate_left(first + second, 17) + first
    second ^= first
    state[0] = _rotate_left(first, 49) ^ second ^ (second << np.uint64(21))
    state[1] = _rotate_left(second, 28)
    return bits


@compiled
def next_float(state):
    """Draw a float64 in [0, 1), every multiple of 2^-53 equally likely."""
    return np.float64(next_uint64(state) >> np.uint64(11)) * _UNITS_OF_FLOAT


@compiled
def next_below(state, bound):
    """Draw an int64 in 0 .. bound - 1, all equally likely; 1 <= bound < 2^32.

    Multiplies instead of dividing, and redraws what would make some numbers likelier (Lemire 2019).
    """
    wide_bound = np.uint64(bound)
    product = (next_uint64(state) >> np.uint64(32)) * wide_bound
    if (product & _LOW_32_BITS) < wide_bound:
        num_surplus = (np.uint64(1 << 32) - wide_bound) % wide_bound
        while (product & _LOW_32_BITS) < num_surplus:
            product = (next_uint64(state) >> np.uint64(32)) * wide_bound
    return np.int64(product >> np.uint64(32))


@compiled
def choose_uniformly(mask, state):
    """Draw an index at which `mask` (bool) is True, all equally likely; -1 if there is none."""
    num_entries = mask.shape[0]
    # A guess that hits is uniform, whichever guess it is; where most actions are legal this is much faster than
    # counting them.
    for _ in range(_MAX_TRIES):
        index = next_below(state, num_entries)
        if mask[index]:
            return index
    num_true = 0
    for index in range(num_entries):
        num_true += mask[index]
    if num_true == 0:
        return -1
    num_left = next_below(state, num_true)
    index = -1
    while num_left >= 0:
        index += 1
        num_left -= mask[index]
    return index
