"""Winning by more, as a small share of a search's values; for compiled code. As KataGo's score utility (Wu, 2019).

    value = (1 - score_weight) * result + score_weight * points,    points = tanh(score / score_scale)

Of a position that goes on the evaluator says the expected points; what is proven is proven with its points. All are
seen by the mover, in [-1, 1].
"""

from __future__ import annotations

import math

import numpy as np

from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled

_MOST = math.tanh(4.0)


@compiled
def points_of(config, score):
    """What a score is worth."""
    return math.tanh(score / config.score_scale)


@compiled
def score_of(config, points):
    """The score that is worth so many points; four times the scale at most, where one more is worth nothing."""
    return config.score_scale * math.atanh(min(max(points, -_MOST), _MOST))


@compiled
def with_points(config, result, points):
    return (1.0 - config.score_weight) * result + config.score_weight * points


@compiled
def add_points(rules, config, position, node):
    """Points of a position where the game is over, and their share of the result in node.value; `node` has a mover."""
    if config.score_weight > 0.0:
        score = np.float64(contract.score(rules, position))
        node.points = points_of(config, score if node.mover == 0 else -score)
        node.value = with_points(config, node.value, node.points)


@compiled
def result_of(config, value, points):
    """The result in a value that has these points in it."""
    result = (value - config.score_weight * points) / (1.0 - config.score_weight)
    return min(max(result, -1.0), 1.0)
