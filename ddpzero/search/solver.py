"""Proven values, for compiled code (Winands, Bjornsson and Saito, "Monte-Carlo Tree Search Solver", 2008).

The value of a node is known if the game is over, if one action is known to win, or if the values of all actions are
known. Such a node becomes a leaf, and the edge to it counts its value for every visit. A search ends when the value of
its root is known.
"""

from __future__ import annotations

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.search import points
from ddpzero.search.forest import ROOT, SOLVED, TERMINAL, UNVISITED

UNKNOWN = -2.0  # below every value
_WIN = 1.0
_LOSS = -1.0


@compiled
def known_value(forest, slot, node, action):
    """Return the proven value of an action for the node's mover, in [-1, 1], or UNKNOWN."""
    child = forest.edges[slot, node, action].child
    if child == UNVISITED or forest.nodes[slot, child].state < TERMINAL:
        return UNKNOWN
    value = forest.nodes[slot, child].value
    return value if forest.nodes[slot, child].mover == forest.nodes[slot, node].mover else -value


@compiled
def pass_on_known_value(forest, config, slot, node):
    """Propagate the value of `node`, which has just become known, to the ancestors whose values it decides."""
    while node != ROOT:
        parent_index = forest.nodes[slot, node].parent
        parent = forest.nodes[slot, parent_index]
        if parent.state == SOLVED:
            return
        parent.num_unknown -= 1
        value = known_value(forest, slot, parent_index, forest.nodes[slot, node].parent_action)
        if value < _WIN and parent.num_unknown > 0:
            return
        best_child = node
        for action in range(forest.edges.shape[2]):
            other_value = known_value(forest, slot, parent_index, action)
            if other_value > value:
                value = other_value
                best_child = forest.edges[slot, parent_index, action].child
        parent.state = SOLVED
        parent.value = value
        if config.score_weight > 0.0:
            best = forest.nodes[slot, best_child]
            parent.points = best.points if best.mover == parent.mover else -best.points
            value = points.result_of(config, value, parent.points)
        parent.draw_share = 1.0 - abs(value)
        if parent_index != ROOT:
            _correct_edge(forest, slot, parent_index)
        node = parent_index


@compiled
def _correct_edge(forest, slot, child):
    """Make the edge to `child` count the child's known value for all its visits."""
    parent_index = forest.nodes[slot, child].parent
    action = forest.nodes[slot, child].parent_action
    edge = forest.edges[slot, parent_index, action]
    value_sum = known_value(forest, slot, parent_index, action) * edge.visits
    forest.nodes[slot, parent_index].value_total += value_sum - edge.value_sum
    edge.value_sum = value_sum


@compiled
def is_solved(forest, slot):
    """Return whether the root's value is proven."""
    return forest.nodes[slot, ROOT].state == SOLVED


@compiled
def is_best_known(forest, slot, action):
    """Return whether an action of a solved root is proven to reach the root's value."""
    return known_value(forest, slot, ROOT, action) == forest.nodes[slot, ROOT].value


@compiled
def is_lost(forest, config, slot, node, action):
    """Return whether an action is proven to lose. A node whose value is not known always has another action."""
    edge = forest.edges[slot, node, action]
    # The first two conditions do not read the child, and are rarely true.
    return (
        edge.visits > 0
        and edge.value_sum <= -edge.visits
        and config.solve
        and known_value(forest, slot, node, action) == _LOSS
    )


@compiled
def solved_policy_target(forest, config, slot, target):
    """Write into `target` [A] float32 the proven best actions, in proportion to priors (Gumbel) or visits (PUCT)."""
    edges = forest.edges[slot, ROOT]
    total = 0.0
    for action in range(edges.shape[0]):
        target[action] = 0.0
        if is_best_known(forest, slot, action):
            target[action] = edges[action].prior if config.is_gumbel else edges[action].visits
            total += target[action]
    for action in range(edges.shape[0]):
        target[action] /= total


@compiled
def solved_action(forest, config, slot):
    """Choose among the proven best actions of a solved root, by log prior + gumbel (Gumbel) or by visits (PUCT)."""
    edges = forest.edges[slot, ROOT]
    best_action = -1
    best_score = 0.0
    for action in range(edges.shape[0]):
        if is_best_known(forest, slot, action):
            score = np.float64(edges[action].visits)
            if config.is_gumbel:
                score = forest.root_scores[slot, action]
            if best_action < 0 or score > best_score:
                best_action = action
                best_score = score
    return best_action
