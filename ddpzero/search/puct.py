"""PUCT selection, root noise and move choice of AlphaZero (Silver et al. 2018), for compiled code."""

from __future__ import annotations

import math

from ddpzero.games.compiled import compiled
from ddpzero.search.forest import ROOT
from ddpzero.search.sampling import choose_weighted, next_gamma


@compiled
def select_action(forest, numbers, game, node):
    """The edge with the largest q + c_puct(N) * prior * sqrt(N) / (1 + n); ties go to the lower action.

    An unvisited edge counts as the node's mean value, less a reduction that grows with the prior already visited
    (KataGo's first-play urgency); without reduction at a noisy root.
    """
    priors = forest.priors[game, node]
    visits = forest.visits[game, node]
    value_sums = forest.value_sums[game, node]
    node_visits = 1.0 + forest.visit_sums[game, node]
    mean_value = (forest.values[game, node] + forest.value_totals[game, node]) / node_visits
    reduction = numbers.first_play_reduction * math.sqrt(forest.visited_priors[game, node])
    if node == ROOT and numbers.dirichlet_fraction > 0.0:
        reduction = 0.0
    unvisited_value = mean_value - reduction
    num_node_visits = min(1 + forest.visit_sums[game, node], numbers.exploration.shape[0] - 1)
    exploration = numbers.exploration[num_node_visits]
    best_score = -math.inf
    best_action = -1
    for action in range(priors.shape[0]):
        prior = priors[action]
        if prior > 0.0:
            num_visits = visits[action]
            q_value = unvisited_value
            if num_visits > 0:
                q_value = value_sums[action] / num_visits
            score = q_value + exploration * prior / (1.0 + num_visits)
            if score > best_score:
                best_score = score
                best_action = action
    return best_action


@compiled
def add_root_noise(forest, numbers, game):
    """Mix Dirichlet noise over the legal actions into the root's priors."""
    if numbers.dirichlet_fraction <= 0.0:
        return
    priors = forest.priors[game, ROOT]
    noise = forest.weights
    total = 0.0
    for action in range(priors.shape[0]):
        if priors[action] > 0.0:
            noise[action] = next_gamma(forest.random_states[game], numbers.dirichlet_alpha)
            total += noise[action]
    if total <= 0.0:
        return
    visited_prior = 0.0
    for action in range(priors.shape[0]):
        if priors[action] > 0.0:
            noisy_prior = (1.0 - numbers.dirichlet_fraction) * priors[action]
            noisy_prior += numbers.dirichlet_fraction * noise[action] / total
            priors[action] = noisy_prior
            if forest.visits[game, ROOT, action] > 0:
                visited_prior += priors[action]
    forest.visited_priors[game, ROOT] = visited_prior


@compiled
def policy_target(forest, game, target):
    """The root's visits as proportions, into `target` [A] float32; the priors when nothing was visited."""
    visits = forest.visits[game, ROOT]
    num_visits = forest.visit_sums[game, ROOT]
    for action in range(visits.shape[0]):
        if num_visits > 0:
            target[action] = visits[action] / num_visits
        else:
            target[action] = forest.priors[game, ROOT, action]


@compiled
def choose_action(forest, numbers, game, ply):
    """Draw the move to play from visits ** (1 / temperature); with temperature 0 the most visited action.

    ply: moves made so far; from temperature_plies on final_temperature holds.
    """
    visits = forest.visits[game, ROOT]
    weights = forest.weights
    temperature = numbers.temperature
    if ply >= numbers.temperature_plies:
        temperature = numbers.final_temperature
    most_visited = 0
    for action in range(visits.shape[0]):
        if visits[action] > visits[most_visited]:
            most_visited = action
    max_visits = visits[most_visited]
    if max_visits == 0:
        # Nothing was searched: the priors decide.
        for action in range(visits.shape[0]):
            if forest.priors[game, ROOT, action] > forest.priors[game, ROOT, most_visited]:
                most_visited = action
        return most_visited
    if temperature <= 0.0:
        return most_visited
    for action in range(visits.shape[0]):
        weights[action] = 0.0
        if visits[action] > 0:
            weights[action] = (visits[action] / max_visits) ** (1.0 / temperature)
    return choose_weighted(weights, forest.random_states[game])
