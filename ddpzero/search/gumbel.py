"""Gumbel root search with sequential halving (Danihelka et al., "Policy improvement by planning with Gumbel",
ICLR 2022), for compiled code.

sigma(q) = (max_visit_offset + max visits) * value_scale * q, with q in [-1, 1]. An action without visits has the
completed value v_mix, the mean of the node's own value and the visited q values weighted by their priors. v_mix
excludes proven losses, because they say nothing about other actions.
"""

from __future__ import annotations

import math

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.search.forest import EVALUATED, ROOT
from ddpzero.search.sampling import next_gumbel
from ddpzero.search.solver import is_lost


@compiled
def prepare_root(forest, config, slot):
    """Sample the root's noise: root_scores = log prior + gumbel. Call it once the root is evaluated."""
    edges = forest.edges[slot, ROOT]
    scores = forest.root_scores[slot]
    num_legal = 0
    for action in range(edges.shape[0]):
        prior = edges[action].prior
        if prior > 0.0:
            num_legal += 1
            scores[action] = math.log(prior)
            if config.gumbel_scale > 0.0:
                noise = next_gumbel(forest.random_states[slot])
                scores[action] += config.gumbel_scale * noise
        else:
            scores[action] = -math.inf
    forest.trees[slot].num_considered = min(num_legal, config.max_considered_actions)


@compiled
def completion(forest, config, slot, node):
    """Return what the completed q values of a node need: (v_mix, factor of sigma, largest completed q).

    Leaves the q values of visited actions in forest.weights.
    """
    edges = forest.edges[slot, node]
    stem = forest.nodes[slot, node]
    visited_prior = 0.0
    visited_value = 0.0
    max_visits = 0
    largest = -math.inf
    has_unvisited = False
    for action in range(edges.shape[0]):
        edge = edges[action]
        if edge.visits > 0:
            q_value = edge.value_sum / edge.visits
            forest.weights[action] = q_value
            largest = max(largest, q_value)
            max_visits = max(max_visits, edge.visits)
            if not is_lost(forest, config, slot, node, action):
                visited_prior += edge.prior
                visited_value += edge.prior * q_value
        elif edge.prior > 0.0:
            has_unvisited = True
    mixed_value = np.float64(stem.value)
    if visited_prior > 0.0:
        total = stem.visit_sum
        mixed_value = (mixed_value + total * (visited_value / visited_prior)) / (1.0 + total)
    factor = (config.max_visit_offset + max_visits) * config.value_scale
    if has_unvisited:
        largest = max(largest, mixed_value)
    return mixed_value, factor, largest


@compiled
def _completed_q(edge, mixed_value):
    return edge.value_sum / edge.visits if edge.visits > 0 else mixed_value


@compiled
def _best_root_action(forest, config, slot, num_visits, may_lose):
    """Return the best root action with exactly num_visits visits, by log prior + gumbel + sigma(completed q)."""
    edges = forest.edges[slot, ROOT]
    scores = forest.root_scores[slot]
    mixed_value, factor, _ = completion(forest, config, slot, ROOT)
    best_score = -math.inf
    best_action = -1
    for action in range(edges.shape[0]):
        if edges[action].visits == num_visits and scores[action] > -math.inf:
            if not may_lose and is_lost(forest, config, slot, ROOT, action):
                continue
            score = scores[action] + factor * _completed_q(edges[action], mixed_value)
            if score > best_score:
                best_score = score
                best_action = action
    return best_action


@compiled
def _select_root_action(forest, config, slot):
    """Return the best action with the number of visits that sequential halving requires in this simulation."""
    tree = forest.trees[slot]
    num_visits = halving_visits(tree.num_considered, tree.num_simulations, tree.num_started)
    return _best_root_action(forest, config, slot, num_visits, True)


@compiled
def halving_visits(num_considered, num_simulations, simulation):
    """Return the visits that simulation `simulation` looks for among the root's actions, by sequential halving.

    The simulation visits the best of the considered actions that have exactly so many visits: first all num_considered
    actions get equal shares, then the better half, and so on; the last two share the rest. (As in mctx.)
    """
    if num_considered <= 1:
        return simulation
    num_phases = 1
    while (1 << num_phases) < num_considered:
        num_phases += 1
    # The actions that are left have equal visits at the beginning of each phase.
    visits, num_left, left = 0, num_considered, simulation
    while True:
        visits_in_phase = max(1, num_simulations // (num_phases * num_left))
        phase = visits_in_phase * num_left
        if left < phase:
            return visits + left // num_left
        left -= phase
        visits += visits_in_phase
        num_left = max(2, num_left // 2)


@compiled
def select_action(forest, config, slot, node):
    """Select an action: by sequential halving at the root, else by the improved policy."""
    if node == ROOT:
        return _select_root_action(forest, config, slot)
    return _select_inner_action(forest, config, slot, node)


@compiled
def _select_inner_action(forest, config, slot, node):
    """Select below the root: argmax pi' - n / (1 + N), which brings the visits closest to the improved policy pi'.

    Never selects a proven loss.
    """
    edges = forest.edges[slot, node]
    mixed_value, factor, largest = completion(forest, config, slot, node)
    weights = forest.weights
    # All unvisited actions share one exponential. If all legal actions are visited, v_mix may exceed `largest`.
    unvisited_weight = math.exp(min(0.0, factor * (mixed_value - largest)))
    total = 0.0
    for action in range(edges.shape[0]):
        edge = edges[action]
        weight = unvisited_weight
        if edge.visits > 0:
            weight = math.exp(factor * (weights[action] - largest))
        weights[action] = edge.prior * weight
        total += weights[action]
    # Both terms are multiplied by 1 + N: one division per node instead of two per action.
    scale = (1.0 + forest.nodes[slot, node].visit_sum) / total
    best_score = -math.inf
    best_action = -1
    for action in range(edges.shape[0]):
        score = weights[action] * scale - edges[action].visits
        if (
            score > best_score
            and edges[action].prior > 0.0
            and not is_lost(forest, config, slot, node, action)
        ):
            best_score = score
            best_action = action
    return best_action


@compiled
def policy_target(forest, config, slot, target):
    """softmax(log prior + sigma(completed q)) of the root, into `target` [A] float32; illegal actions stay 0."""
    edges = forest.edges[slot, ROOT]
    mixed_value, factor, largest = completion(forest, config, slot, ROOT)
    total = 0.0
    for action in range(edges.shape[0]):
        edge = edges[action]
        target[action] = 0.0
        if edge.prior > 0.0:
            advantage = _completed_q(edge, mixed_value) - largest
            target[action] = edge.prior * math.exp(factor * advantage)
            total += target[action]
    for action in range(edges.shape[0]):
        target[action] /= total


@compiled
def choose_action(forest, config, slot, ply):
    """Choose the action to play: the best of the most visited ones, by log prior + gumbel + sigma(completed q).

    Never chooses a proven loss. Gumbel search has no temperature, so the ply is not used.
    """
    edges = forest.edges[slot, ROOT]
    max_visits = 0
    for action in range(edges.shape[0]):
        if not is_lost(forest, config, slot, ROOT, action):
            max_visits = max(max_visits, edges[action].visits)
    return _best_root_action(forest, config, slot, max_visits, False)


@compiled
def root_value(forest, config, slot):
    """Return the value of the improved policy: completed q values weighted by the policy target.

    The mean over the simulations is not usable: sequential halving spends many of them on actions that no player would
    choose. In positions of strong players the sign of that mean was wrong twice as often as right.
    """
    edges = forest.edges[slot, ROOT]
    mixed_value, _, _ = completion(forest, config, slot, ROOT)
    policy_target(forest, config, slot, forest.weights)
    value = 0.0
    for action in range(edges.shape[0]):
        value += forest.weights[action] * _completed_q(edges[action], mixed_value)
    return value


@compiled
def root_points(forest, config, slot):
    """Return the points in root_value: means of actions (of the root if unvisited), weighted by the policy target."""
    edges, nodes = forest.edges[slot, ROOT], forest.nodes[slot]
    root = nodes[ROOT]
    mean = root.points_total / (1.0 + root.visit_sum)
    policy_target(forest, config, slot, forest.weights)
    total = 0.0
    for action in range(edges.shape[0]):
        expected = mean
        if edges[action].visits > 0:
            child = nodes[edges[action].child]
            expected = np.float64(child.points)
            if child.state == EVALUATED:
                expected = child.points_total / (1.0 + child.visit_sum)
            if child.mover != root.mover:
                expected = -expected
        total += forest.weights[action] * expected
    return total
