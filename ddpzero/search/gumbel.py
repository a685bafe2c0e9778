"""Gumbel root search with sequential halving (Danihelka et al., "Policy improvement by planning with Gumbel",
ICLR 2022), for compiled code.

sigma(q) = (max_visit_offset + max visits) * value_scale * q, with q in [-1, 1]. An action without visits has the
completed value v_mix, which blends the node's own value with the visited q values by their priors.
"""

from __future__ import annotations

import math

import numpy as np

from ddpzero.games.compiled import compiled
from ddpzero.search.forest import ROOT
from ddpzero.search.sampling import next_gumbel


@compiled
def prepare_root(forest, numbers, game):
    """Draw the root's noise: root_scores = log prior + gumbel; call once the root is evaluated."""
    priors = forest.priors[game, ROOT]
    scores = forest.root_scores[game]
    num_legal = 0
    for action in range(priors.shape[0]):
        if priors[action] > 0.0:
            num_legal += 1
            scores[action] = math.log(priors[action])
            if numbers.gumbel_scale > 0.0:
                noise = next_gumbel(forest.random_states[game])
                scores[action] += numbers.gumbel_scale * noise
        else:
            scores[action] = -math.inf
    forest.num_considered[game] = min(num_legal, numbers.max_considered_actions)


@compiled
def completion(forest, numbers, game, node):
    """What the completed q values of a node need: (v_mix, factor of sigma)."""
    priors = forest.priors[game, node]
    visits = forest.visits[game, node]
    value_sums = forest.value_sums[game, node]
    visited_prior = 0.0
    visited_value = 0.0
    max_visits = 0
    for action in range(priors.shape[0]):
        num_visits = visits[action]
        if num_visits > 0:
            prior = priors[action]
            visited_prior += prior
            visited_value += prior * (value_sums[action] / num_visits)
            max_visits = max(max_visits, num_visits)
    mixed_value = np.float64(forest.values[game, node])
    if visited_prior > 0.0:
        total = forest.visit_sums[game, node]
        mixed_value = (mixed_value + total * (visited_value / visited_prior)) / (1.0 + total)
    return mixed_value, (numbers.max_visit_offset + max_visits) * numbers.value_scale


@compiled
def select_root_action(forest, numbers, game):
    """The best of the actions that have as many visits as sequential halving asks for in this simulation."""
    visits = forest.visits[game, ROOT]
    value_sums = forest.value_sums[game, ROOT]
    scores = forest.root_scores[game]
    simulation = min(forest.simulations_started[game], numbers.halving.shape[1] - 1)
    considered_visits = numbers.halving[forest.num_considered[game], simulation]
    mixed_value, factor = completion(forest, numbers, game, ROOT)
    best_score = -math.inf
    best_action = -1
    for action in range(visits.shape[0]):
        if visits[action] == considered_visits and scores[action] > -math.inf:
            q_value = mixed_value
            if visits[action] > 0:
                q_value = value_sums[action] / visits[action]
            score = scores[action] + factor * q_value
            if score > best_score:
                best_score = score
                best_action = action
    return best_action


@compiled
def select_action(forest, numbers, game, node):
    """Below the root: the action that brings visits closest to the improved policy, argmax pi' - n / (1 + N)."""
    priors = forest.priors[game, node]
    visits = forest.visits[game, node]
    value_sums = forest.value_sums[game, node]
    # Relative to v_mix an unvisited action weighs just its prior: exponentials are needed for visited ones alone.
    mixed_value, factor = completion(forest, numbers, game, node)
    weights = forest.weights
    max_exponent = 0.0
    for action in range(visits.shape[0]):
        if visits[action] > 0:
            exponent = factor * (value_sums[action] / visits[action] - mixed_value)
            max_exponent = max(max_exponent, exponent)
    unvisited_factor = math.exp(-max_exponent)
    total = 0.0
    for action in range(visits.shape[0]):
        weight = priors[action] * unvisited_factor
        if visits[action] > 0:
            exponent = factor * (value_sums[action] / visits[action] - mixed_value)
            weight = priors[action] * math.exp(exponent - max_exponent)
        weights[action] = weight
        total += weights[action]
    scale = 1.0 / total
    visit_scale = 1.0 / (1.0 + forest.visit_sums[game, node])
    best_score = -math.inf
    best_action = -1
    for action in range(visits.shape[0]):
        if priors[action] > 0.0:
            score = weights[action] * scale - visits[action] * visit_scale
            if score > best_score:
                best_score = score
                best_action = action
    return best_action


@compiled
def policy_target(forest, numbers, game, target):
    """softmax(log prior + sigma(completed q)) of the root, into `target` [A] float32; illegal actions stay 0."""
    priors = forest.priors[game, ROOT]
    visits = forest.visits[game, ROOT]
    value_sums = forest.value_sums[game, ROOT]
    mixed_value, factor = completion(forest, numbers, game, ROOT)
    largest = -math.inf
    for action in range(priors.shape[0]):
        if priors[action] > 0.0:
            q_value = mixed_value
            if visits[action] > 0:
                q_value = value_sums[action] / visits[action]
            target[action] = math.log(priors[action]) + factor * (q_value - mixed_value)
            largest = max(largest, target[action])
    total = 0.0
    for action in range(priors.shape[0]):
        if priors[action] > 0.0:
            target[action] = math.exp(target[action] - largest)
            total += target[action]
        else:
            target[action] = 0.0
    for action in range(priors.shape[0]):
        target[action] /= total


@compiled
def choose_action(forest, numbers, game):
    """The action to play: of the most visited ones the best by log prior + gumbel + sigma(q)."""
    visits = forest.visits[game, ROOT]
    value_sums = forest.value_sums[game, ROOT]
    scores = forest.root_scores[game]
    mixed_value, factor = completion(forest, numbers, game, ROOT)
    max_visits = 0
    for action in range(visits.shape[0]):
        max_visits = max(max_visits, visits[action])
    best_score = -math.inf
    best_action = -1
    for action in range(visits.shape[0]):
        if visits[action] == max_visits and scores[action] > -math.inf:
            q_value = mixed_value
            if visits[action] > 0:
                q_value = value_sums[action] / visits[action]
            score = scores[action] + factor * q_value
            if score > best_score:
                best_score = score
                best_action = action
    return best_action
