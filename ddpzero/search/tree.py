"""One simulation, in verbs: descend, add the leaf, evaluate it, back its value up. Compiled; used by every search.

`find_leaf` goes on inside a game until it needs the evaluator, so that leaves which end the game or lie in the cache
cost no place in a batch.
"""

from __future__ import annotations

import math

import numpy as np

from ddpzero.games.core import contract
from ddpzero.games.core.compiled import Choice, compiled, copy_row
from ddpzero.games.core.promises import NO_FAULT, NO_LEGAL_ACTION, WRONG_MOVER, WRONG_RETURN
from ddpzero.search import endgame, gumbel, points, puct, solver
from ddpzero.search.cache import NO_ENTRY, add_entry, find_entry
from ddpzero.search.config import GumbelConfig
from ddpzero.search.forest import EVALUATED, PENDING, ROOT, SOLVED, TERMINAL, UNVISITED

# What find_leaf says of a game.
LEAF_FOUND = 0  # forest.observation holds what the evaluator must see
SEARCH_FINISHED = 1
SEARCH_WAITS = 2  # all further simulations need a leaf that is under evaluation

_NOT_PREPARED = -1  # a tree's num_started before `_prepare_root`

# A legal action keeps some prior: 0 means illegal.
_MIN_PRIOR = 1e-9
# Eight bytes that are 0 or 1, taken as one word and multiplied by this, have their eight bits in the top byte.
_GATHER_BITS = np.uint64(0x0102040810204080)


def _of_algorithm(name: str) -> Choice:
    """The function of that name of gumbel.py or of puct.py, as the type of `config` asks for."""

    def choose(forest, config, *_):
        return getattr(gumbel if config.instance_class is GumbelConfig else puct, name)

    return Choice(name, choose)


_algorithm_prepare_root = _of_algorithm("prepare_root")
_algorithm_select_action = _of_algorithm("select_action")
_algorithm_policy_target = _of_algorithm("policy_target")
_algorithm_choose_action = _of_algorithm("choose_action")
_algorithm_root_value = _of_algorithm("root_value")
_algorithm_root_points = _of_algorithm("root_points")


@compiled
def set_root(rules, forest, game):
    """Begin a tree at the position that the caller wrote into forest.positions[game, ROOT]."""
    forest.trees[game].num_nodes = 1
    forest.trees[game].num_started = _NOT_PREPARED
    forest.trees[game].num_finished = 0
    forest.trees[game].fault = NO_FAULT
    _set_node(rules, forest, game, ROOT, UNVISITED, UNVISITED)


@compiled
def find_leaf(rules, forest, config, cache, weights_version, game):
    """Simulate in one game until a leaf needs the evaluator; returns (what happened, the leaf's node).

    The caller passes on what the evaluator says of the leaf by `evaluate_leaf` and `back_up_leaf`; several leaves of a
    game may be out at once.
    """
    tree = forest.trees[game]
    while tree.num_finished < config.num_simulations or tree.num_started == _NOT_PREPARED:
        if tree.num_started == _NOT_PREPARED and forest.nodes[game, ROOT].state == EVALUATED:
            _prepare_root(forest, config, game)
            continue
        if solver.is_solved(forest, game):
            # Leaves may still be out: their verdict must not meet the next tree.
            is_over = tree.num_started == tree.num_finished
            return (SEARCH_FINISHED if is_over else SEARCH_WAITS), UNVISITED
        if tree.num_started == config.num_simulations:
            return SEARCH_WAITS, UNVISITED
        num_nodes_before = tree.num_nodes
        node = _descend(rules, forest, config, game)
        if forest.nodes[game, node].state == PENDING:
            if node != ROOT and tree.num_nodes == num_nodes_before:
                return SEARCH_WAITS, UNVISITED
            pack_observation(rules, forest, game, node)
            place = find_entry(cache, forest.observation, weights_version)
            if place == NO_ENTRY:
                if node != ROOT:
                    tree.num_started += 1
                    if config.leaves_per_round > 1:
                        _count_virtual_loss(forest, game, node, 1, config.virtual_loss)
                return LEAF_FOUND, node
            _expand(rules, forest, config, game, node, cache.logits[place], cache.outcomes[place])
            if node == ROOT:
                continue
        tree.num_started += 1
        _finish_simulation(forest, config, game, node)
    return SEARCH_FINISHED, UNVISITED


@compiled
def evaluate_leaf(
    rules, forest, config, cache, weights_version, game, node, observation, logits, outcome
):
    """Give a leaf what the evaluator said: logits [A], outcome [4] win/draw/loss of its mover and points."""
    add_entry(cache, observation, logits, outcome, weights_version)
    _expand(rules, forest, config, game, node, logits, outcome)


@compiled
def back_up_leaf(forest, config, game, node):
    """End the simulation of an evaluated leaf; for the root, which no simulation reached, nothing is to be done."""
    if node != ROOT:
        if config.leaves_per_round > 1:
            _count_virtual_loss(forest, game, node, -1, config.virtual_loss)
        _finish_simulation(forest, config, game, node)


@compiled
def _prepare_root(forest, config, game):
    """Start the budget of a move: the root is evaluated, its noise is drawn here."""
    forest.trees[game].num_started = 0
    forest.trees[game].num_finished = 0
    _algorithm_prepare_root(forest, config, game)


@compiled
def policy_target(forest, config, game, target):
    """What the policy head is trained on, into `target` [A] float32: sums to 1, exactly 0 for illegal actions."""
    if solver.is_solved(forest, game):
        solver.solved_policy_target(forest, config, game, target)
    else:
        _algorithm_policy_target(forest, config, game, target)


@compiled
def choose_action(forest, config, game, ply):
    """The move to play after the search; ply: moves made so far, for the temperature."""
    if solver.is_solved(forest, game):
        return solver.solved_action(forest, config, game)
    return _algorithm_choose_action(forest, config, game, ply)


@compiled
def root_value(forest, config, game):
    """The search's estimate for the root's mover."""
    if solver.is_solved(forest, game):
        return np.float64(forest.nodes[game, ROOT].value)
    return _algorithm_root_value(forest, config, game)


@compiled
def root_result(forest, config, game):
    """root_value without the share of points: the expected result of the game, in [-1, 1]."""
    value = root_value(forest, config, game)
    if config.score_weight > 0.0:
        value = points.result_of(config, value, _root_points(forest, config, game))
    return value


@compiled
def root_score(forest, config, game):
    """How many points the root's mover is expected to be ahead at the end; 0 where the search looks at none."""
    if config.score_weight == 0.0:
        return 0.0
    return points.score_of(config, _root_points(forest, config, game))


@compiled
def _root_points(forest, config, game):
    if solver.is_solved(forest, game):
        return np.float64(forest.nodes[game, ROOT].points)
    return _algorithm_root_points(forest, config, game)


@compiled
def is_search_finished(forest, config, game):
    """Whether the budget is spent or the root's value proven, and no leaf is out."""
    tree = forest.trees[game]
    if tree.num_started != tree.num_finished:
        return False
    return tree.num_finished >= config.num_simulations or solver.is_solved(forest, game)


@compiled
def play_action(rules, forest, config, game, action):
    """Make the move: the tree goes on below it when subtrees are reused, else from the new position alone."""
    child = forest.edges[game, ROOT, action].child
    if config.reuse_subtree and child != UNVISITED and forest.nodes[game, child].state == EVALUATED:
        _keep_subtree(rules, forest, config, game, child)
        forest.trees[game].num_started = _NOT_PREPARED
        return
    contract.apply_action(rules, forest.positions[game, ROOT], action)
    set_root(rules, forest, game)


@compiled
def _descend(rules, forest, config, game):
    """From the root along selected actions to a node without evaluation, made if it was not there."""
    node = ROOT
    while forest.nodes[game, node].state == EVALUATED:
        action = _algorithm_select_action(forest, config, game, node)
        child = forest.edges[game, node, action].child
        if child == UNVISITED:
            return _add_child(rules, forest, config, game, node, action)
        node = child
    return node


@compiled
def _add_child(rules, forest, config, game, parent, action):
    child = forest.trees[game].num_nodes
    forest.trees[game].num_nodes = child + 1
    forest.edges[game, parent, action].child = child
    contract.copy_position(rules, forest.positions[game, parent], forest.positions[game, child])
    contract.apply_action(rules, forest.positions[game, child], action)
    _set_node(rules, forest, game, child, parent, action)
    if forest.nodes[game, child].state == PENDING:
        if endgame.prove_endgame(rules, forest, config, game, child):
            forest.nodes[game, child].state = TERMINAL
    else:
        points.add_points(rules, config, forest.positions[game, child], forest.nodes[game, child])
    if config.solve and forest.nodes[game, child].state == TERMINAL:
        solver.pass_on_known_value(forest, config, game, child)
    return child


@compiled
def _set_node(rules, forest, game, index, parent, action):
    position = forest.positions[game, index]
    node = forest.nodes[game, index]
    mover = contract.current_player(rules, position)
    if mover != 0 and mover != 1:
        forest.trees[game].fault = WRONG_MOVER
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
            forest.trees[game].fault = WRONG_RETURN
            value = 0.0
        node.value = value


@compiled
def pack_observation(rules, forest, game, node):
    """Write the node's observation, planes bit-packed as np.packbits(bitorder="little") does, into
    forest.observation."""
    forest.planes[:] = 0
    contract.observe(rules, forest.positions[game, node], forest.planes)
    contract.observe_globals(rules, forest.positions[game, node], forest.globals)
    for index in range(forest.plane_words.shape[0]):
        forest.observation[index] = (forest.plane_words[index] * _GATHER_BITS) >> np.uint64(56)


@compiled
def _expand(rules, forest, config, game, node, logits, outcome):
    """Make an evaluated node of a pending one: priors over the legal actions, edges without visits."""
    legal = forest.legal
    contract.legal_actions(rules, forest.positions[game, node], legal)
    largest = -math.inf
    for action in range(legal.shape[0]):
        if legal[action]:
            largest = max(largest, logits[action])
    total = 0.0
    num_legal = 0
    weights = forest.weights
    for action in range(legal.shape[0]):
        weights[action] = 0.0
        if legal[action]:
            num_legal += 1
            weights[action] = math.exp(logits[action] - largest)
            total += weights[action]
    if num_legal == 0:
        # As a leaf it is harmless until the caller hears of the fault.
        forest.trees[game].fault = NO_LEGAL_ACTION
        forest.nodes[game, node].state = TERMINAL
        forest.nodes[game, node].value = 0.0
        return
    for action in range(legal.shape[0]):
        edge = forest.edges[game, node, action]
        edge.prior = max(weights[action] / total, _MIN_PRIOR) if legal[action] else 0.0
        edge.value_sum = 0.0
        edge.visits = 0
        edge.child = UNVISITED
    forest.nodes[game, node].value = outcome[0] - outcome[2]
    if config.score_weight > 0.0:
        forest.nodes[game, node].points = outcome[3]
        forest.nodes[game, node].points_total = outcome[3]
        forest.nodes[game, node].value = points.with_points(
            config, outcome[0] - outcome[2], outcome[3]
        )
    forest.nodes[game, node].draw_share = outcome[1]
    forest.nodes[game, node].num_unknown = num_legal
    forest.nodes[game, node].state = EVALUATED


@compiled
def _finish_simulation(forest, config, game, leaf):
    """Add the leaf's value to every edge on the way to the root, each seen by the player who chose there."""
    nodes = forest.nodes[game]
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
        node = _count_visit(forest, game, node, 1, value if is_same_player else -value)
        if config.score_weight > 0.0:
            nodes[node].points_total += found_points if is_same_player else -found_points
    forest.trees[game].num_finished += 1


@compiled
def _count_virtual_loss(forest, game, leaf, count, virtual_loss):
    """Count a visit that every mover on the way lost, so that the next descent tries something else; -1 undoes it."""
    node = leaf
    while node != ROOT:
        loss = virtual_loss
        if forest.nodes[game, node].state == SOLVED:
            loss = -solver.known_value(
                forest,
                game,
                forest.nodes[game, node].parent,
                forest.nodes[game, node].parent_action,
            )
        node = _count_visit(forest, game, node, count, -count * loss)


@compiled
def _count_visit(forest, game, child, count, value):
    """Add a visit (count 1) or take one back (-1) on the edge to `child`; returns the parent's index."""
    parent_index = forest.nodes[game, child].parent
    parent = forest.nodes[game, parent_index]
    edge = forest.edges[game, parent_index, forest.nodes[game, child].parent_action]
    was_visited = edge.visits > 0
    edge.visits += count
    edge.value_sum += value
    parent.visit_sum += count
    parent.value_total += value
    if was_visited != (edge.visits > 0):
        parent.visited_prior += count * edge.prior
    return parent_index


@compiled
def _keep_subtree(rules, forest, config, game, new_root):
    """Move the subtree below `new_root` to the front of the tree's arrays.

    A child's index is above its parent's, so one pass upwards suffices and never overwrites what it still needs. At
    most num_simulations + 1 nodes stay, the oldest: a dropped child's visits stay counted on its edge, and it is made
    again when a simulation comes by.
    """
    node_map = forest.node_map
    max_kept = config.num_simulations + 1
    num_kept = 0
    for node in range(new_root, forest.trees[game].num_nodes):
        parent = forest.nodes[game, node].parent
        is_kept = node == new_root or (
            parent >= new_root and node_map[parent] != UNVISITED and num_kept < max_kept
        )
        node_map[node] = num_kept if is_kept else UNVISITED
        if is_kept:
            _move_node(rules, forest, game, node, num_kept)
            forest.nodes[game, num_kept].parent = (
                UNVISITED if num_kept == ROOT else node_map[parent]
            )
            num_kept += 1
        elif (
            parent >= new_root
            and node_map[parent] != UNVISITED
            and forest.nodes[game, node].state >= TERMINAL
        ):
            # Its value is forgotten, unless a simulation comes by again.
            forest.nodes[game, node_map[parent]].num_unknown += 1
    for node in range(num_kept):
        if forest.nodes[game, node].state in (EVALUATED, SOLVED):
            for action in range(forest.edges.shape[2]):
                child = forest.edges[game, node, action].child
                if child != UNVISITED:
                    forest.edges[game, node, action].child = node_map[child]
    forest.trees[game].num_nodes = num_kept


@compiled
def _move_node(rules, forest, game, source, target):
    forest.nodes[game, target] = forest.nodes[game, source]
    contract.copy_position(rules, forest.positions[game, source], forest.positions[game, target])
    if forest.nodes[game, source].state in (EVALUATED, SOLVED):
        copy_row(forest.edges[game, source], forest.edges[game, target])
