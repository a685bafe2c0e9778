"""The share of the score margin in a search's values, as KataGo's score utility (Wu, 2019); for compiled code.

    value = (1 - score_weight) * result + score_weight * points,    points = tanh(score / score_scale)

The evaluator estimates the expected points of a position; a proven value includes its points. All are from the
mover's perspective, in [-1, 1].
"""

from __future__ import annotations

import math

import numpy as np

from ddpzero.evaluators.answers import points_of_score
from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled

_MOST = math.tanh(4.0)


@compiled
def score_of(config, points):
    """Return the inverse of points_of_score, limited to four times the scale."""
    return config.score_scale * math.atanh(min(max(points, -_MOST), _MOST))


@compiled
def with_points(config, result, points):
    """Return the value of a result with its share of points."""
    return (1.0 - config.score_weight) * result + config.score_weight * points


@compiled
def add_points(rules, config, position, node):
    """Write the points of a terminal position, and add their share to node.value; node.mover is set."""
    if config.score_weight > 0.0:
        score = np.float64(contract.score(rules, position))
        node.points = points_of_score(score if node.mover == 0 else -score, config.score_scale)
        node.value = with_points(config, node.value, node.points)


@compiled
def result_of(config, value, points):
    """Return the inverse of with_points: the result in a value that includes these points."""
    result = (value - config.score_weight * points) / (1.0 - config.score_weight)
    return min(max(result, -1.0), 1.0)
