"""Samples from the distributions that searches need; compiled. A state is a row `[2]` uint64, see random_bits.py."""

from __future__ import annotations

import math

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.random_bits import next_float


@compiled
def next_gumbel(state):
    """Sample from the standard Gumbel distribution."""
    # 1 - u is in (0, 1]; the tiny addend keeps both logarithms finite.
    return -math.log(-math.log(1.0 - next_float(state) + 1e-300) + 1e-300)


@compiled
def next_normal(state):
    """Sample from the standard normal distribution (Box and Muller 1958)."""
    radius = math.sqrt(-2.0 * math.log(1.0 - next_float(state)))
    return radius * math.cos(2.0 * math.pi * next_float(state))


@compiled
def next_gamma(state, shape):
    """Sample from the gamma distribution with scale 1 (Marsaglia and Tsang 2000)."""
    boost = 1.0
    if shape < 1.0:
        boost = (1.0 - next_float(state)) ** (1.0 / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = next_normal(state)
        v = (1.0 + c * x) ** 3
        if v > 0.0:
            u = 1.0 - next_float(state)
            if math.log(u) < 0.5 * x * x + d - d * v + d * math.log(v):
                return boost * d * v


@compiled
def choose_weighted(weights, state):
    """Sample an index with probability proportional to `weights` (0 or more, not all 0)."""
    total = 0.0
    for index in range(weights.shape[0]):
        total += weights[index]
    left = next_float(state) * total
    chosen = -1
    for index in range(weights.shape[0]):
        if weights[index] > 0.0:
            chosen = index
            left -= weights[index]
            if left < 0.0:
                break
    return chosen
