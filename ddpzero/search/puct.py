"""PUCT selection, root noise and move choice of AlphaZero (Silver et al. 2018), for compiled code."""

from __future__ import annotations

import math

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.search.forest import FAST, ROOT
from ddpzero.search.sampling import choose_weighted, next_gamma
from ddpzero.search.solver import is_lost


@compiled
def select_action(forest, config, slot, node):
    """Return the edge with the largest q + c_puct(N) * prior * sqrt(N) / (1 + n); ties go to the lower action.

    An unvisited edge has the node's mean value minus a reduction that grows with the visited prior (KataGo's first-play
    urgency); there is no reduction at a noisy root. Never selects a proven loss.
    """
    edges = forest.edges[slot, node]
    stem = forest.nodes[slot, node]
    num_node_visits = 1 + stem.visit_sum
    reduction = config.first_play_reduction * math.sqrt(stem.visited_prior)
    if node == ROOT and config.dirichlet_fraction > 0.0:
        reduction = 0.0
    unvisited_value = (stem.value + stem.value_total) / num_node_visits - reduction
    if num_node_visits < config.exploration.shape[0]:
        exploration = config.exploration[num_node_visits]
    else:
        growth = math.log((num_node_visits + config.c_puct_base) / config.c_puct_base)
        exploration = (config.c_puct + growth) * math.sqrt(num_node_visits)
    best_score = -math.inf
    best_action = -1
    for action in range(edges.shape[0]):
        edge = edges[action]
        if edge.prior > 0.0 and not is_lost(forest, config, slot, node, action):
            q_value = edge.value_sum / edge.visits if edge.visits > 0 else unvisited_value
            score = q_value + exploration * edge.prior / (1.0 + edge.visits)
            if score > best_score:
                best_score = score
                best_action = action
    return best_action


@compiled
def prepare_root(forest, config, slot):
    """Mix Dirichlet noise over the legal actions into the root's priors, unless the search is fast."""
    if config.dirichlet_fraction <= 0.0 or forest.trees[slot].budget == FAST:
        return
    edges = forest.edges[slot, ROOT]
    noise = forest.weights
    total = 0.0
    for action in range(edges.shape[0]):
        if edges[action].prior > 0.0:
            noise[action] = next_gamma(forest.random_states[slot], config.dirichlet_alpha)
            total += noise[action]
    if total <= 0.0:
        return
    visited_prior = 0.0
    for action in range(edges.shape[0]):
        edge = edges[action]
        if edge.prior > 0.0:
            noisy_prior = (1.0 - config.dirichlet_fraction) * edge.prior
            noisy_prior += config.dirichlet_fraction * noise[action] / total
            edge.prior = noisy_prior
            if edge.visits > 0:
                visited_prior += edge.prior
    forest.nodes[slot, ROOT].visited_prior = visited_prior


@compiled
def policy_target(forest, config, slot, target):
    """Write the root's visits as proportions into `target` [A] float32; the priors if nothing was visited."""
    edges = forest.edges[slot, ROOT]
    num_visits = forest.nodes[slot, ROOT].visit_sum
    for action in range(edges.shape[0]):
        if num_visits > 0:
            target[action] = edges[action].visits / num_visits
        else:
            target[action] = edges[action].prior


@compiled
def choose_action(forest, config, slot, ply):
    """Sample the move to play from visits ** (1 / temperature); with temperature 0 the most visited action.

    ply: moves made so far; final_temperature applies from temperature_plies on. Never plays a proven loss.
    """
    edges = forest.edges[slot, ROOT]
    weights = forest.weights
    temperature = config.temperature
    if ply >= config.temperature_plies:
        temperature = config.final_temperature
    max_visits = 0
    most_visited = -1
    best_prior = -1
    for action in range(edges.shape[0]):
        weights[action] = 0.0
        if edges[action].prior > 0.0 and not is_lost(forest, config, slot, ROOT, action):
            weights[action] = edges[action].visits
            if edges[action].visits > max_visits:
                max_visits = edges[action].visits
                most_visited = action
            if best_prior < 0 or edges[action].prior > edges[best_prior].prior:
                best_prior = action
    if max_visits == 0:
        # No playable action was visited: take the one with the highest prior.
        return best_prior
    if temperature <= 0.0:
        return most_visited
    for action in range(edges.shape[0]):
        if weights[action] > 0.0:
            weights[action] = (weights[action] / max_visits) ** (1.0 / temperature)
    return choose_weighted(weights, forest.random_states[slot])


@compiled
def root_value(forest, config, slot):
    """Return the mean of the root's evaluation and all simulations."""
    root = forest.nodes[slot, ROOT]
    return (np.float64(root.value) + root.value_total) / (1.0 + root.visit_sum)


@compiled
def root_points(forest, config, slot):
    """Return the points in root_value: the mean of the root's evaluation and all simulations."""
    root = forest.nodes[slot, ROOT]
    return root.points_total / (1.0 + root.visit_sum)
