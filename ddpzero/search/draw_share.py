"""The probability of a draw according to the search, from the evaluations of all nodes. Players show it to people.

Self-play does not need it: its samples contain the evaluator's own draw share at the root.
"""

from __future__ import annotations

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.search import points
from ddpzero.search.forest import PENDING, ROOT, TERMINAL, UNVISITED


@compiled(cache=True)
def root_draw_shares(forest, config, targets, means, draw_shares):
    """Write the draw shares [n] of the first n slots' roots, after the search.

    A root's draw share is the mean of its actions' draw shares, weighted by `targets` [n, A]. An action without visits
    counts with the evaluator's draw share of the root. A proven value v has the draw share 1 - |v|.
    means: `[N]` float32 scratch: the mean draw share of a node's own evaluation and the simulations below it.
    """
    for slot in range(draw_shares.shape[0]):
        nodes = forest.nodes[slot]
        for index in range(forest.trees[slot].num_nodes - 1, -1, -1):
            node = nodes[index]
            if node.state == PENDING:
                means[index] = 0.0
            elif node.state >= TERMINAL:
                means[index] = 1.0 - abs(_result(config, node))
            else:
                means[index] = _mean_of_evaluated(forest, slot, index, means)
        root = nodes[ROOT]
        if root.state >= TERMINAL:
            draw_shares[slot] = means[ROOT]
            continue
        total = 0.0
        for action in range(targets.shape[1]):
            child = forest.edges[slot, ROOT, action].child
            is_visited = child != UNVISITED and nodes[child].state != PENDING
            total += targets[slot, action] * (means[child] if is_visited else root.draw_share)
        draw_shares[slot] = total


@compiled
def _result(config, node):
    """Return the outcome of a node whose value is known, without the share of points."""
    if config.score_weight > 0.0:
        return points.result_of(config, node.value, node.points)
    return node.value


@compiled
def _mean_of_evaluated(forest, slot, index, means):
    """Needs the means of the children, whose indices are above their parent's."""
    node = forest.nodes[slot, index]
    total, count = np.float64(node.draw_share), 1
    for action in range(forest.edges.shape[2]):
        edge = forest.edges[slot, index, action]
        if edge.visits > 0:
            total += edge.visits * means[edge.child]
            count += edge.visits
    return total / count
