"""Random numbers for compiled code: xoroshiro128++ (Blackman and Vigna 2019); the caller passes the state.

Called by the search, by rollouts and by benchmarks. Numba's own generator has one hidden state per thread, which can
neither be saved in a checkpoint nor belong to one episode. Both are needed to make a resumed run equal to an
uninterrupted one.

A state is a row `[2]` uint64. Sampling changes it in place.
"""

from __future__ import annotations

import numpy as np

from ddpzero.games.core.compiled import compiled

_LOW_32_BITS = np.uint64(0xFFFFFFFF)
_UNITS_OF_FLOAT = 1.0 / 2**53
# Number of samples before `choose_uniformly` counts instead: with a quarter of the entries true,
# one choice in ten counts.
_MAX_TRIES = 8


def new_random_states(seed: int, num_states: int) -> np.ndarray:
    """Return `[num_states, 2]` uint64, independent streams that depend only on the seed and on their row."""
    return np.random.SeedSequence(seed).generate_state(2 * num_states, np.uint64).reshape(-1, 2)


@compiled
def _rotate_left(word, bits):
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@compiled
def next_uint64(state):
    """Sample 64 random bits."""
    first, second = state[0], state[1]
    bits = _rotate_left(first + second, 17) + first
    second ^= first
    state[0] = _rotate_left(first, 49) ^ second ^ (second << np.uint64(21))
    state[1] = _rotate_left(second, 28)
    return bits


@compiled
def next_float(state):
    """Sample a float64 in [0, 1), a multiple of 2^-53, uniformly."""
    return np.float64(next_uint64(state) >> np.uint64(11)) * _UNITS_OF_FLOAT


@compiled
def next_below(state, bound):
    """Sample an int64 in 0 .. bound - 1 uniformly; 1 <= bound < 2^32.

    Multiplies instead of dividing, and samples again where the result would be biased (Lemire 2019).
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
    """Sample an index at which `mask` (bool) is True, uniformly; -1 if there is none."""
    num_entries = mask.shape[0]
    # A random index that hits is uniform, whichever attempt it is. If most actions are legal, this
    # is much faster than counting them.
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
