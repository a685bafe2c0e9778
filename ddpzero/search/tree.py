"""One simulation, in verbs: descend, add the leaf, evaluate it, back its value up. Compiled; used by every search.

`find_leaf` goes on inside a game until it needs the evaluator, so that leaves which end the game or lie in the cache
cost no place in a batch.
"""

from __future__ import annotations

import math

import numpy as np

from ddpzero.games import contract
from ddpzero.games.compiled import compiled, copy_row
from ddpzero.search import gumbel, puct
from ddpzero.search.cache import NO_ENTRY, add_entry, find_entry
from ddpzero.search.forest import EVALUATED, PENDING, ROOT, TERMINAL, UNVISITED

# What find_leaf says of a game.
LEAF_FOUND = 0  # forest.observation holds what the evaluator must see
SEARCH_FINISHED = 1
SEARCH_WAITS = 2  # all further simulations need a leaf that is under evaluation

_ROOT_IS_NEW = -1  # simulations_started before the root is evaluated

# A legal action keeps some prior: 0 means illegal.
_MIN_PRIOR = 1e-9
# Eight bytes that are 0 or 1, taken as one word and multiplied by this, have their eight bits in the top byte.
_GATHER_BITS = np.uint64(0x0102040810204080)


@compiled
def set_root(rules, forest, game):
    """Begin a tree at the position that the caller wrote into forest.positions[game, ROOT]."""
    forest.num_nodes[game] = 1
    forest.simulations_started[game] = _ROOT_IS_NEW
    forest.simulations_finished[game] = 0
    _set_node(rules, forest, game, ROOT, UNVISITED, UNVISITED)


@compiled
def find_leaf(rules, forest, numbers, cache, weights_version, game):
    """Simulate in one game until a leaf needs the evaluator; returns (what happened, the leaf's node).

    The caller evaluates the leaf and calls `absorb_leaf`; several leaves of a game may be out at once.
    """
    while forest.simulations_finished[game] < numbers.num_simulations or (
        forest.simulations_started[game] == _ROOT_IS_NEW
    ):
        if forest.simulations_started[game] == numbers.num_simulations:
            return SEARCH_WAITS, UNVISITED
        num_nodes_before = forest.num_nodes[game]
        node = _descend(rules, forest, numbers, game)
        if forest.states[game, node] == TERMINAL:
            forest.simulations_started[game] += 1
            _finish_simulation(forest, game, node)
            continue
        if node != ROOT and forest.num_nodes[game] == num_nodes_before:
            return SEARCH_WAITS, UNVISITED
        pack_observation(rules, forest, game, node)
        place = find_entry(cache, forest.observation, weights_version)
        if place == NO_ENTRY:
            if node != ROOT:
                forest.simulations_started[game] += 1
                if numbers.leaves_per_round > 1:
                    _add_virtual_loss(forest, game, node, numbers.virtual_loss)
            return LEAF_FOUND, node
        _expand(rules, forest, game, node, cache.logits[place], cache.outcomes[place])
        if node == ROOT:
            prepare_root(forest, numbers, game)
        else:
            forest.simulations_started[game] += 1
            _finish_simulation(forest, game, node)
    return SEARCH_FINISHED, UNVISITED


@compiled
def absorb_leaf(
    rules, forest, numbers, cache, weights_version, game, node, observation, logits, outcome
):
    """Give a leaf what the evaluator said: logits [A], outcome [3] win/draw/loss of its mover."""
    add_entry(cache, observation, logits, outcome, weights_version)
    _expand(rules, forest, game, node, logits, outcome)
    if node == ROOT:
        prepare_root(forest, numbers, game)
        return
    if numbers.leaves_per_round > 1:
        _remove_virtual_loss(forest, game, node, numbers.virtual_loss)
    _finish_simulation(forest, game, node)


@compiled
def prepare_root(forest, numbers, game):
    """Start the budget of a move: the root is evaluated, its noise is drawn here."""
    forest.simulations_started[game] = 0
    forest.simulations_finished[game] = 0
    if numbers.is_gumbel:
        gumbel.prepare_root(forest, numbers, game)
    else:
        puct.add_root_noise(forest, numbers, game)


@compiled
def policy_target(forest, numbers, game, target):
    """What the policy head is trained on, into `target` [A] float32: sums to 1, exactly 0 for illegal actions."""
    if numbers.is_gumbel:
        gumbel.policy_target(forest, numbers, game, target)
    else:
        puct.policy_target(forest, game, target)


@compiled
def choose_action(forest, numbers, game, ply):
    """The move to play after the search; ply: moves made so far, for the temperature."""
    if numbers.is_gumbel:
        return gumbel.choose_action(forest, numbers, game)
    return puct.choose_action(forest, numbers, game, ply)


@compiled
def root_value(forest, game):
    """The search's estimate for the root's mover: mean of the evaluation and all simulations."""
    total = np.float64(forest.values[game, ROOT]) + forest.value_totals[game, ROOT]
    return total / (1.0 + forest.visit_sums[game, ROOT])


@compiled
def play_action(rules, forest, numbers, game, action):
    """Make the move: the tree goes on below it when subtrees are reused, else from the new position alone."""
    child = forest.children[game, ROOT, action]
    if numbers.reuse_subtree and child != UNVISITED and forest.states[game, child] == EVALUATED:
        _keep_subtree(forest, numbers, game, child)
        prepare_root(forest, numbers, game)
        return
    contract.apply_action(rules, forest.positions[game, ROOT], action)
    set_root(rules, forest, game)


@compiled
def _descend(rules, forest, numbers, game):
    """From the root along selected actions to a node without evaluation, made if it was not there."""
    node = ROOT
    while forest.states[game, node] == EVALUATED:
        if not numbers.is_gumbel:
            action = puct.select_action(forest, numbers, game, node)
        elif node == ROOT:
            action = gumbel.select_root_action(forest, numbers, game)
        else:
            action = gumbel.select_action(forest, numbers, game, node)
        child = forest.children[game, node, action]
        if child == UNVISITED:
            return _add_child(rules, forest, game, node, action)
        node = child
    return node


@compiled
def _add_child(rules, forest, game, parent, action):
    child = forest.num_nodes[game]
    forest.num_nodes[game] = child + 1
    forest.children[game, parent, action] = child
    copy_row(forest.positions[game, parent], forest.positions[game, child])
    contract.apply_action(rules, forest.positions[game, child], action)
    _set_node(rules, forest, game, child, parent, action)
    return child


@compiled
def _set_node(rules, forest, game, node, parent, action):
    position = forest.positions[game, node]
    mover = contract.current_player(rules, position)
    forest.movers[game, node] = mover
    forest.parents[game, node] = parent
    forest.parent_actions[game, node] = action
    forest.visit_sums[game, node] = 0
    forest.value_totals[game, node] = 0.0
    forest.visited_priors[game, node] = 0.0
    forest.states[game, node] = PENDING
    if contract.is_terminal(rules, position):
        forest.states[game, node] = TERMINAL
        forest.values[game, node] = contract.player_return(rules, position, mover)


@compiled
def pack_observation(rules, forest, game, node):
    """Write the node's observation, bit-packed as np.packbits(bitorder="little") does, into forest.observation."""
    forest.planes[:] = 0
    contract.observe(rules, forest.positions[game, node], forest.planes)
    for index in range(forest.observation.shape[0]):
        forest.observation[index] = (forest.plane_words[index] * _GATHER_BITS) >> np.uint64(56)


@compiled
def _expand(rules, forest, game, node, logits, outcome):
    """Make an evaluated node of a pending one: priors over the legal actions, edges without visits."""
    legal = forest.legal
    contract.legal_actions(rules, forest.positions[game, node], legal)
    largest = -math.inf
    for action in range(legal.shape[0]):
        if legal[action]:
            largest = max(largest, logits[action])
    total = 0.0
    weights = forest.weights
    for action in range(legal.shape[0]):
        weights[action] = 0.0
        if legal[action]:
            weights[action] = math.exp(logits[action] - largest)
            total += weights[action]
    priors = forest.priors[game, node]
    for action in range(legal.shape[0]):
        priors[action] = max(weights[action] / total, _MIN_PRIOR) if legal[action] else 0.0
        forest.visits[game, node, action] = 0
        forest.value_sums[game, node, action] = 0.0
        forest.children[game, node, action] = UNVISITED
    forest.values[game, node] = outcome[0] - outcome[2]
    forest.draw_shares[game, node] = outcome[1]
    forest.states[game, node] = EVALUATED


@compiled
def _finish_simulation(forest, game, leaf):
    """Add the leaf's value to every edge on the way to the root, each seen by the player who chose there."""
    forest.simulations_finished[game] += 1
    value = forest.values[game, leaf]
    leaf_mover = forest.movers[game, leaf]
    node = leaf
    while node != ROOT:
        parent = forest.parents[game, node]
        action = forest.parent_actions[game, node]
        mover_value = value if forest.movers[game, parent] == leaf_mover else -value
        if forest.visits[game, parent, action] == 0:
            forest.visited_priors[game, parent] += forest.priors[game, parent, action]
        forest.visits[game, parent, action] += 1
        forest.value_sums[game, parent, action] += mover_value
        forest.visit_sums[game, parent] += 1
        forest.value_totals[game, parent] += mover_value
        node = parent


@compiled
def _add_virtual_loss(forest, game, leaf, virtual_loss):
    """Count a visit that lost, for the mover of each edge, so that the next descent tries something else."""
    node = leaf
    while node != ROOT:
        parent = forest.parents[game, node]
        action = forest.parent_actions[game, node]
        if forest.visits[game, parent, action] == 0:
            forest.visited_priors[game, parent] += forest.priors[game, parent, action]
        forest.visits[game, parent, action] += 1
        forest.value_sums[game, parent, action] -= virtual_loss
        forest.visit_sums[game, parent] += 1
        forest.value_totals[game, parent] -= virtual_loss
        node = parent


@compiled
def _remove_virtual_loss(forest, game, leaf, virtual_loss):
    node = leaf
    while node != ROOT:
        parent = forest.parents[game, node]
        action = forest.parent_actions[game, node]
        forest.visits[game, parent, action] -= 1
        forest.value_sums[game, parent, action] += virtual_loss
        forest.visit_sums[game, parent] -= 1
        forest.value_totals[game, parent] += virtual_loss
        if forest.visits[game, parent, action] == 0:
            forest.visited_priors[game, parent] -= forest.priors[game, parent, action]
        node = parent


@compiled
def _keep_subtree(forest, numbers, game, new_root):
    """Move the subtree below `new_root` to the front of the tree's arrays.

    A child's index is above its parent's, so one pass upwards suffices and never overwrites what it still needs. At
    most num_simulations + 1 nodes stay, the oldest: a dropped child's visits stay counted on its edge, and it is made
    again when a simulation comes by.
    """
    node_map = forest.node_map
    max_kept = numbers.num_simulations + 1
    num_kept = 0
    for node in range(new_root, forest.num_nodes[game]):
        parent = forest.parents[game, node]
        is_kept = node == new_root or (
            parent >= new_root and node_map[parent] != UNVISITED and num_kept < max_kept
        )
        node_map[node] = num_kept if is_kept else UNVISITED
        if is_kept:
            _move_node(forest, game, node, num_kept)
            forest.parents[game, num_kept] = UNVISITED if num_kept == ROOT else node_map[parent]
            num_kept += 1
    for node in range(num_kept):
        if forest.states[game, node] == EVALUATED:
            for action in range(forest.children.shape[2]):
                child = forest.children[game, node, action]
                if child != UNVISITED:
                    forest.children[game, node, action] = node_map[child]
    forest.num_nodes[game] = num_kept


@compiled
def _move_node(forest, game, source, target):
    forest.movers[game, target] = forest.movers[game, source]
    forest.states[game, target] = forest.states[game, source]
    forest.parent_actions[game, target] = forest.parent_actions[game, source]
    forest.values[game, target] = forest.values[game, source]
    forest.draw_shares[game, target] = forest.draw_shares[game, source]
    forest.visit_sums[game, target] = forest.visit_sums[game, source]
    forest.value_totals[game, target] = forest.value_totals[game, source]
    forest.visited_priors[game, target] = forest.visited_priors[game, source]
    copy_row(forest.positions[game, source], forest.positions[game, target])
    if forest.states[game, source] == EVALUATED:
        copy_row(forest.priors[game, source], forest.priors[game, target])
        copy_row(forest.visits[game, source], forest.visits[game, target])
        copy_row(forest.value_sums[game, source], forest.value_sums[game, target])
        copy_row(forest.children[game, source], forest.children[game, target])
