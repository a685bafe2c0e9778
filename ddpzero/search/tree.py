"""One simulation: descend to a leaf, add its node, evaluate it, back its value up. Compiled; used by every search.

`find_leaf` continues in one tree until it needs the evaluator, so that terminal leaves and cached evaluations take no
place in a batch. A tree is named by its slot in the forest.
"""

from __future__ import annotations

import math

import numpy as np

from ddpzero.evaluators.answers import DRAW, LOSS, POINTS, WIN
from ddpzero.games.core import contract
from ddpzero.games.core.compiled import Choice, compiled, copy_row
from ddpzero.games.core.promises import NO_FAULT, NO_LEGAL_ACTION, WRONG_MOVER, WRONG_RETURN
from ddpzero.search import endgame, forced_wins, gumbel, points, puct, solver
from ddpzero.search.cache import NO_ENTRY, add_entry, find_entry, smallest_view, write_view
from ddpzero.search.config import GumbelConfig
from ddpzero.search.forest import EVALUATED, FULL, PENDING, ROOT, SOLVED, TERMINAL, UNVISITED

# Statuses that find_leaf returns.
LEAF_FOUND = 0  # forest.observation holds the leaf's observation in the view tree.symmetry
SEARCH_FINISHED = 1
SEARCH_WAITS = 2  # every further simulation needs a leaf that is still being evaluated

_NOT_PREPARED = -1  # a tree's num_started before `_prepare_root`

# Lower bound of a legal action's prior: 0 marks illegal actions.
_MIN_PRIOR = 1e-9
# Multiplying a word of eight 0/1 bytes by this gathers the eight bits in its top byte.
_GATHER_BITS = np.uint64(0x0102040810204080)


def _of_algorithm(name: str) -> Choice:
    """Return the function `name` of gumbel.py or puct.py, chosen by the type of `config`."""

    def choose(forest, config, *_):
        return getattr(gumbel if config.instance_class is GumbelConfig else puct, name)

    return Choice(name, choose)


_algorithm_prepare_root = _of_algorithm("prepare_root")
select_action = _of_algorithm("select_action")
_algorithm_policy_target = _of_algorithm("policy_target")
_algorithm_choose_action = _of_algorithm("choose_action")
_algorithm_root_value = _of_algorithm("root_value")
_algorithm_root_points = _of_algorithm("root_points")


@compiled
def set_root(rules, forest, slot):
    """Start a tree at the position that the caller wrote into forest.positions[slot, ROOT]."""
    forest.trees[slot].num_nodes = 1
    forest.trees[slot].num_started = _NOT_PREPARED
    forest.trees[slot].num_finished = 0
    forest.trees[slot].reached = ROOT
    forest.trees[slot].next_action = UNVISITED
    forest.trees[slot].budget = FULL
    forest.trees[slot].fault = NO_FAULT
    set_node(rules, forest, slot, ROOT, UNVISITED, UNVISITED)


@compiled
def find_leaf(rules, forest, config, cache, weights_version, slot):
    """Simulate in one tree until a leaf needs the evaluator; return (status, node of the leaf).

    The caller passes the leaf's evaluation to `evaluate_leaf`, then calls `back_up_leaf`. Several leaves of a tree may
    be under evaluation at the same time.
    """
    tree = forest.trees[slot]
    while tree.num_started == _NOT_PREPARED or tree.num_finished < tree.num_simulations:
        if tree.num_started == _NOT_PREPARED and forest.nodes[slot, ROOT].state == EVALUATED:
            _prepare_root(forest, config, slot)
            continue
        if solver.is_solved(forest, slot):
            # Wait for leaves under evaluation: their results must not reach the next tree of this slot.
            is_over = tree.num_started == tree.num_finished
            return (SEARCH_FINISHED if is_over else SEARCH_WAITS), UNVISITED
        if tree.num_started == tree.num_simulations:
            return SEARCH_WAITS, UNVISITED
        num_nodes_before = tree.num_nodes
        node = _descend(rules, forest, config, slot)
        if forest.nodes[slot, node].state == PENDING:
            if node != ROOT and tree.num_nodes == num_nodes_before:
                return SEARCH_WAITS, UNVISITED
            tree.symmetry = pack_smallest_view(rules, forest, cache, slot, node)
            place = find_entry(cache, forest.observation, weights_version)
            if place == NO_ENTRY:
                if node != ROOT:
                    tree.num_started += 1
                    if config.leaves_per_round > 1:
                        _count_virtual_loss(forest, slot, node, 1, config.virtual_loss)
                return LEAF_FOUND, node
            expand(
                rules,
                forest,
                config,
                slot,
                node,
                cache.action_views[tree.symmetry],
                cache.logits[place],
                cache.outcomes[place],
            )
            if node == ROOT:
                continue
        tree.num_started += 1
        _finish_simulation(forest, config, slot, node)
    return SEARCH_FINISHED, UNVISITED


@compiled
def evaluate_leaf(
    rules,
    forest,
    config,
    cache,
    weights_version,
    slot,
    node,
    symmetry,
    observation,
    logits,
    outcome,
):
    """Expand a leaf with the evaluation of its view: logits [A], outcome [4] as in evaluators/base.py."""
    add_entry(cache, observation, logits, outcome, weights_version)
    expand(rules, forest, config, slot, node, cache.action_views[symmetry], logits, outcome)


@compiled
def back_up_leaf(forest, config, slot, node):
    """Finish the simulation of an evaluated leaf. The root's evaluation belongs to no simulation."""
    if node != ROOT:
        if config.leaves_per_round > 1:
            _count_virtual_loss(forest, slot, node, -1, config.virtual_loss)
        _finish_simulation(forest, config, slot, node)


@compiled
def goes_on(forest, slot):
    """Return whether the next call of find_leaf begins with a descent."""
    tree = forest.trees[slot]
    if tree.num_started == _NOT_PREPARED or tree.num_started >= tree.num_simulations:
        return False
    return forest.nodes[slot, ROOT].state == EVALUATED


@compiled
def _prepare_root(forest, config, slot):
    """Start the budget of a move at an evaluated root; sample the root's noise."""
    tree = forest.trees[slot]
    tree.num_started = 0
    tree.num_finished = 0
    tree.num_simulations = forest.budgets[tree.budget]
    _algorithm_prepare_root(forest, config, slot)


@compiled
def policy_target(forest, config, slot, target):
    """Write the policy head's training target into `target` [A] float32: sums to 1, exactly 0 for illegal actions."""
    if solver.is_solved(forest, slot):
        solver.solved_policy_target(forest, config, slot, target)
    else:
        _algorithm_policy_target(forest, config, slot, target)


@compiled
def policy_surprise(forest, slot, target):
    """Return the KL divergence of a policy target [A] from the root's priors, in nats: what the search found out."""
    total = 0.0
    for action in range(target.shape[0]):
        prior = forest.edges[slot, ROOT, action].prior
        if target[action] > 0.0 and prior > 0.0:
            total += target[action] * math.log(target[action] / prior)
    return max(total, 0.0)


@compiled
def choose_action(forest, config, slot, ply):
    """Choose the move after the search; ply: moves made so far, for the temperature."""
    if solver.is_solved(forest, slot):
        return solver.solved_action(forest, config, slot)
    return _algorithm_choose_action(forest, config, slot, ply)


@compiled
def root_value(forest, config, slot):
    """Return the search's estimate for the root's mover."""
    if solver.is_solved(forest, slot):
        return np.float64(forest.nodes[slot, ROOT].value)
    return _algorithm_root_value(forest, config, slot)


@compiled
def root_result(forest, config, slot):
    """Return the expected outcome in [-1, 1]: root_value without its share of points."""
    value = root_value(forest, config, slot)
    if config.score_weight > 0.0:
        value = points.result_of(config, value, _root_points(forest, config, slot))
    return value


@compiled
def root_score(forest, config, slot):
    """Return the expected score margin of the root's mover at the end; 0 if the search ignores points."""
    if config.score_weight == 0.0:
        return 0.0
    return points.score_of(config, _root_points(forest, config, slot))


@compiled
def _root_points(forest, config, slot):
    if solver.is_solved(forest, slot):
        return np.float64(forest.nodes[slot, ROOT].points)
    return _algorithm_root_points(forest, config, slot)


@compiled
def is_search_finished(forest, config, slot):
    """Return whether the budget is spent or the root's value is proven, and no leaf is under evaluation."""
    tree = forest.trees[slot]
    if tree.num_started != tree.num_finished:
        return False
    return tree.num_finished >= tree.num_simulations or solver.is_solved(forest, slot)


@compiled
def play_action(rules, forest, config, slot, action):
    """Play an action: keep the subtree below it if subtrees are reused, else start a new tree."""
    child = forest.edges[slot, ROOT, action].child
    if config.reuse_subtree and child != UNVISITED and forest.nodes[slot, child].state == EVALUATED:
        _keep_subtree(rules, forest, config, slot, child)
        forest.trees[slot].num_started = _NOT_PREPARED
        forest.trees[slot].budget = FULL
        return
    contract.apply_action(rules, forest.positions[slot, ROOT], action)
    set_root(rules, forest, slot)


@compiled
def _descend(rules, forest, config, slot):
    """Follow selected actions from the root to a node without evaluation, creating it if necessary.

    Begins where descend_ahead (ahead.py) has come to.
    """
    tree = forest.trees[slot]
    node, action = tree.reached, tree.next_action
    tree.reached, tree.next_action = ROOT, UNVISITED
    if action != UNVISITED:
        return _add_child(rules, forest, config, slot, node, action)
    while forest.nodes[slot, node].state == EVALUATED:
        action = select_action(forest, config, slot, node)
        child = forest.edges[slot, node, action].child
        if child == UNVISITED:
            return _add_child(rules, forest, config, slot, node, action)
        node = child
    return node


@compiled
def _add_child(rules, forest, config, slot, parent, action):
    child = forest.trees[slot].num_nodes
    forest.trees[slot].num_nodes = child + 1
    forest.edges[slot, parent, action].child = child
    contract.copy_position(rules, forest.positions[slot, parent], forest.positions[slot, child])
    contract.apply_action(rules, forest.positions[slot, child], action)
    set_node(rules, forest, slot, child, parent, action)
    if forest.nodes[slot, child].state == PENDING:
        is_proven = endgame.prove_endgame(rules, forest, config, slot, child)
        if is_proven or forced_wins.find_forced_win(rules, forest, config, slot, child):
            forest.nodes[slot, child].state = TERMINAL
    else:
        points.add_points(rules, config, forest.positions[slot, child], forest.nodes[slot, child])
    if config.solve and forest.nodes[slot, child].state == TERMINAL:
        solver.pass_on_known_value(forest, config, slot, child)
    return child


@compiled
def set_node(rules, forest, slot, index, parent, action):
    position = forest.positions[slot, index]
    node = forest.nodes[slot, index]
    mover = contract.current_player(rules, position)
    if mover != 0 and mover != 1:
        forest.trees[slot].fault = WRONG_MOVER
        mover = 0
    node.mover = mover
    node.parent = parent
    node.parent_action = action
    node.visit_sum = 0
    node.value_total = 0.0
    node.visited_prior = 0.0
    node.points = 0.0
    node.points_total = 0.0
    node.state = PENDING
    if contract.is_terminal(rules, position):
        node.state = TERMINAL
        value = contract.player_return(rules, position, node.mover)
        if not -1.0 <= value <= 1.0:
            forest.trees[slot].fault = WRONG_RETURN
            value = 0.0
        node.value = value


@compiled
def pack_observation(rules, forest, slot, node):
    """Write the node's observation into forest.observation; planes bit-packed in little-endian order."""
    _observe(rules, forest, slot, node)
    _pack(forest, forest.plane_words)


@compiled
def pack_smallest_view(rules, forest, cache, slot, node):
    """Do the same in the node's smallest view, and return the index of that view; without views, 0."""
    _observe(rules, forest, slot, node)
    if cache.cell_views.shape[0] > 1:
        view = smallest_view(cache, forest.planes)
        if view > 0:
            write_view(cache, forest.planes, view)
            _pack(forest, cache.plane_words)
            return view
    _pack(forest, forest.plane_words)
    return 0


@compiled
def _observe(rules, forest, slot, node):
    forest.planes[:] = 0
    contract.observe(rules, forest.positions[slot, node], forest.planes)
    contract.observe_globals(rules, forest.positions[slot, node], forest.globals)


@compiled
def _pack(forest, plane_words):
    for index in range(plane_words.shape[0]):
        forest.observation[index] = (plane_words[index] * _GATHER_BITS) >> np.uint64(56)


@compiled
def expand(rules, forest, config, slot, node, action_view, logits, outcome):
    """Turn a pending node into an evaluated one: priors over the legal actions, edges without visits.

    action_view: `[A]`, the index of each action in the view that logits [A] are of.
    """
    legal = forest.legal
    contract.legal_actions(rules, forest.positions[slot, node], legal)
    largest = -math.inf
    for action in range(legal.shape[0]):
        if legal[action]:
            largest = max(largest, logits[action_view[action]])
    total = 0.0
    num_legal = 0
    weights = forest.weights
    for action in range(legal.shape[0]):
        weights[action] = 0.0
        if legal[action]:
            num_legal += 1
            weights[action] = math.exp(logits[action_view[action]] - largest)
            total += weights[action]
    if num_legal == 0:
        # Make it a leaf, which does no harm until the caller reads the fault.
        forest.trees[slot].fault = NO_LEGAL_ACTION
        forest.nodes[slot, node].state = TERMINAL
        forest.nodes[slot, node].value = 0.0
        return
    for action in range(legal.shape[0]):
        edge = forest.edges[slot, node, action]
        edge.prior = max(weights[action] / total, _MIN_PRIOR) if legal[action] else 0.0
        edge.value_sum = 0.0
        edge.visits = 0
        edge.child = UNVISITED
    forest.nodes[slot, node].value = outcome[WIN] - outcome[LOSS]
    if config.score_weight > 0.0:
        forest.nodes[slot, node].points = outcome[POINTS]
        forest.nodes[slot, node].points_total = outcome[POINTS]
        forest.nodes[slot, node].value = points.with_points(
            config, outcome[WIN] - outcome[LOSS], outcome[POINTS]
        )
    forest.nodes[slot, node].draw_share = outcome[DRAW]
    forest.nodes[slot, node].num_unknown = num_legal
    forest.nodes[slot, node].state = EVALUATED


@compiled
def _finish_simulation(forest, config, slot, leaf):
    """Add the leaf's value to every edge up to the root, from the perspective of the player who chose the edge."""
    nodes = forest.nodes[slot]
    value = nodes[leaf].value
    found_points = nodes[leaf].points
    mover = nodes[leaf].mover
    node = leaf
    while node != ROOT:
        if nodes[node].state == SOLVED:
            value = nodes[node].value
            found_points = nodes[node].points
            mover = nodes[node].mover
        is_same_player = nodes[nodes[node].parent].mover == mover
        node = _count_visit(forest, slot, node, 1, value if is_same_player else -value)
        if config.score_weight > 0.0:
            nodes[node].points_total += found_points if is_same_player else -found_points
    forest.trees[slot].num_finished += 1


@compiled
def _count_virtual_loss(forest, slot, leaf, count, virtual_loss):
    """Count a visit that each mover on the path lost, so that the next descent takes another path; -1 undoes it."""
    node = leaf
    while node != ROOT:
        loss = virtual_loss
        if forest.nodes[slot, node].state == SOLVED:
            loss = -solver.known_value(
                forest,
                slot,
                forest.nodes[slot, node].parent,
                forest.nodes[slot, node].parent_action,
            )
        node = _count_visit(forest, slot, node, count, -count * loss)


@compiled
def _count_visit(forest, slot, child, count, value):
    """Add a visit (count 1) to the edge to `child`, or remove one (-1); return the parent's index."""
    parent_index = forest.nodes[slot, child].parent
    parent = forest.nodes[slot, parent_index]
    edge = forest.edges[slot, parent_index, forest.nodes[slot, child].parent_action]
    was_visited = edge.visits > 0
    edge.visits += count
    edge.value_sum += value
    parent.visit_sum += count
    parent.value_total += value
    if was_visited != (edge.visits > 0):
        parent.visited_prior += count * edge.prior
    return parent_index


@compiled
def _keep_subtree(rules, forest, config, slot, new_root):
    """Move the subtree below `new_root` to the front of the tree's arrays.

    A child's index is above its parent's, so one ascending pass suffices and never overwrites a node that it still
    needs. Keeps at most the num_simulations + 1 oldest nodes. A dropped child's visits stay on its edge, and the next
    simulation that reaches the edge creates the child again.
    """
    node_map = forest.node_map
    max_kept = config.num_simulations + 1
    num_kept = 0
    for node in range(new_root, forest.trees[slot].num_nodes):
        parent = forest.nodes[slot, node].parent
        is_kept = node == new_root or (
            parent >= new_root and node_map[parent] != UNVISITED and num_kept < max_kept
        )
        node_map[node] = num_kept if is_kept else UNVISITED
        if is_kept:
            _move_node(rules, forest, slot, node, num_kept)
            forest.nodes[slot, num_kept].parent = (
                UNVISITED if num_kept == ROOT else node_map[parent]
            )
            num_kept += 1
        elif (
            parent >= new_root
            and node_map[parent] != UNVISITED
            and forest.nodes[slot, node].state >= TERMINAL
        ):
            # The dropped child's proven value is unknown until a simulation reaches the edge again.
            forest.nodes[slot, node_map[parent]].num_unknown += 1
    for node in range(num_kept):
        if forest.nodes[slot, node].state in (EVALUATED, SOLVED):
            for action in range(forest.edges.shape[2]):
                child = forest.edges[slot, node, action].child
                if child != UNVISITED:
                    forest.edges[slot, node, action].child = node_map[child]
    forest.trees[slot].num_nodes = num_kept


@compiled
def _move_node(rules, forest, slot, source, target):
    forest.nodes[slot, target] = forest.nodes[slot, source]
    contract.copy_position(rules, forest.positions[slot, source], forest.positions[slot, target])
    if forest.nodes[slot, source].state in (EVALUATED, SOLVED):
        copy_row(forest.edges[slot, source], forest.edges[slot, target])
