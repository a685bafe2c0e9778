"""Plain Monte Carlo tree search: UCT (Kocsis and Szepesvari 2006) with uniformly random rollouts, no network.

The reference opponent `rollout:N` of matches and judges. Called by arena/players.py; never by training.

A simulation adds at most one node, so S simulations need S + 1 nodes for any number of actions: the children of a node
are a linked list of the actions tried so far. Letters: n positions, A actions, P position_size.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.promises import (
    NO_FAULT,
    NO_LEGAL_ACTION,
    TOO_LONG,
    WRONG_RETURN,
    require_no_fault,
)
from ddpzero.games.core.random_bits import choose_uniformly, new_random_states
from ddpzero.system.memory import Layout, empty_arrays, layout_size_bytes

# Weight of sqrt(log(visits of the parent) / visits), for values in [-1, 1]. On 600 hard Connect Four positions it keeps
# the outcome in 53 / 63 / 71 / 78 % with 200 / 1,000 / 10,000 / 100,000 simulations; 0.5 and 0.7 are worse, 1.4 to 4
# no better.
EXPLORATION = 1.0

ROOT = 0
NO_NODE = -1
NOT_COUNTED = -1


@dataclass(frozen=True)
class RolloutResult:
    """The results of the searches.

    actions: `[n]` int32, the most visited action, or a winning one that ends the game at once.
    visits: `[n, A]` int32; a row sums to num_simulations.
    wdl_counts: `[n, 3]` int32, how many simulations the player to move won, drew and lost.
    """

    actions: np.ndarray
    visits: np.ndarray
    wdl_counts: np.ndarray


def search_by_rollouts(
    game: Game, positions: np.ndarray, num_simulations: int, seed: int, num_threads: int = 1
) -> RolloutResult:
    """Search each of `positions` `[n, P]`, none of them terminal, with a separate tree; num_simulations >= 1.

    Row i of the result depends only on the seed, i and the position, not on num_threads. Raises GamePromiseError if the
    game breaks its contract.
    """
    game.require_running(positions)
    if num_simulations < 1:
        raise ValueError(f"num_simulations={num_simulations} must be at least 1.")
    num_positions = len(positions)
    result = RolloutResult(
        actions=np.empty(num_positions, dtype=np.int32),
        visits=np.zeros((num_positions, game.num_actions), dtype=np.int32),
        wdl_counts=np.zeros((num_positions, 3), dtype=np.int32),
    )
    positions = np.ascontiguousarray(positions)
    random_states = new_random_states(seed, num_positions)

    def search_slice(rows: slice) -> None:
        num_nodes = num_simulations + 1
        fault = _search_all(
            game.rules,
            _new_tree(num_nodes),
            _new_scratch(game, num_nodes),
            positions[rows],
            random_states[rows],
            num_simulations,
            EXPLORATION,
            game.spec.max_plies,
            result.actions[rows],
            result.visits[rows],
            result.wdl_counts[rows],
        )
        require_no_fault(game, fault)

    num_slices = min(num_threads, num_positions)
    if num_slices <= 1:
        search_slice(slice(None))
        return result
    edges = np.linspace(0, num_positions, num_slices + 1).astype(int)
    with ThreadPoolExecutor(num_slices) as threads:
        list(threads.map(search_slice, [slice(a, b) for a, b in pairwise(edges)]))
    return result


class _Tree(NamedTuple):
    """One search tree. Letter: N nodes. Entries of nodes that do not exist yet are undefined.

    visits: `[N]` int32.
    value_sums: `[N]` float64, the summed returns of the player who moved into the node.
    actions: `[N]` int32, the action that led to the node.
    movers: `[N]` int8, the player who moved into the node.
    num_untried: `[N]` int32, legal actions without a child, or NOT_COUNTED; 0 from the start where the game is over.
    last_child: `[N]` int32, the child made last, or NO_NODE.
    older_sibling: `[N]` int32, the child that the parent made before, or NO_NODE.
    """

    visits: np.ndarray
    value_sums: np.ndarray
    actions: np.ndarray
    movers: np.ndarray
    num_untried: np.ndarray
    last_child: np.ndarray
    older_sibling: np.ndarray


class _Scratch(NamedTuple):
    """Scratch of one simulation: its current position, a legal mask, and its nodes from the root on."""

    position: np.ndarray
    legal: np.ndarray
    path: np.ndarray


def _new_tree(num_nodes: int) -> _Tree:
    return _Tree(**empty_arrays(_tree_layout(num_nodes)))


def _tree_layout(num_nodes: int) -> Layout:
    nodes = (num_nodes,)
    return {
        "visits": (nodes, np.int32),
        "value_sums": (nodes, np.float64),
        "actions": (nodes, np.int32),
        "movers": (nodes, np.int8),
        "num_untried": (nodes, np.int32),
        "last_child": (nodes, np.int32),
        "older_sibling": (nodes, np.int32),
    }


def _new_scratch(game: Game, num_nodes: int) -> _Scratch:
    return _Scratch(**empty_arrays(_scratch_layout(game, num_nodes)))


def _scratch_layout(game: Game, num_nodes: int) -> Layout:
    return {
        "position": ((game.spec.position_size,), game.spec.position_dtype),
        "legal": ((game.num_actions,), np.bool_),
        "path": ((num_nodes,), np.int32),
    }


def rollouts_size_bytes(game: Game, num_simulations: int) -> int:
    """Memory of one search; each thread runs one."""
    num_nodes = num_simulations + 1
    layouts = (_tree_layout(num_nodes), _scratch_layout(game, num_nodes))
    return sum(map(layout_size_bytes, layouts))


@compiled(cache=True, nogil=True)
def _search_all(
    rules,
    tree,
    scratch,
    positions,
    random_states,
    num_simulations,
    exploration,
    max_plies,
    actions,
    visits,
    wdl_counts,
):
    """Fill actions `[n]`, visits `[n, A]` and wdl_counts `[n, 3]`, the last two zeroed before; return the fault."""
    for row in range(positions.shape[0]):
        root_player = contract.current_player(rules, positions[row])
        _make_node(tree, ROOT, NO_NODE, -1, root_player)
        for simulation in range(num_simulations):
            contract.copy_position(rules, positions[row], scratch.position)
            depth, fault = _simulate(
                rules, tree, scratch, simulation + 1, random_states[row], exploration, max_plies
            )
            if fault != NO_FAULT:
                return fault
            first_return = contract.player_return(rules, scratch.position, 0)
            if not -1.0 <= first_return <= 1.0:
                return WRONG_RETURN
            _back_up(tree, scratch.path, depth, first_return)
            mover_return = first_return if root_player == 0 else -first_return
            wdl_counts[row, 0 if mover_return > 0 else (1 if mover_return == 0 else 2)] += 1
        actions[row] = _choose(tree, visits[row])
    return NO_FAULT


@compiled
def _simulate(rules, tree, scratch, new_node, random_state, exploration, max_plies):
    """Select, expand by `new_node` and roll out: play scratch.position to the end of the game.

    Fills scratch.path with the nodes from the root to the last one inside the tree and returns that one's depth, and
    the game's fault if it breaks a promise.
    """
    position, legal, path = scratch
    # One loop for the tree and the rollout: the game's kernels are inlined, so that a second call of each would double
    # the time to compile.
    node, depth, num_plies, in_tree = ROOT, 0, 0, True
    path[0] = ROOT
    while not contract.is_terminal(rules, position):
        if num_plies >= max_plies:
            return depth, TOO_LONG
        if in_tree and tree.num_untried[node] == 0:
            node = _most_promising(tree, node, exploration)
            action = tree.actions[node]
            depth += 1
            path[depth] = node
        else:
            contract.legal_actions(rules, position, legal)
            if in_tree:
                _keep_untried(tree, node, legal)
            action = choose_uniformly(legal, random_state)
            if action < 0:
                return depth, NO_LEGAL_ACTION
            if in_tree:
                _make_node(tree, new_node, node, action, contract.current_player(rules, position))
                depth += 1
                path[depth] = new_node
                in_tree = False
        contract.apply_action(rules, position, action)
        num_plies += 1
    if num_plies == depth:
        tree.num_untried[path[depth]] = 0
    return depth, NO_FAULT


@compiled
def _most_promising(tree, node, exploration):
    """Return the child with the highest upper confidence bound (UCB1)."""
    log_visits = np.log(tree.visits[node])
    best, best_bound = NO_NODE, -np.inf
    child = tree.last_child[node]
    while child != NO_NODE:
        num_visits = tree.visits[child]
        mean = tree.value_sums[child] / num_visits
        bound = mean + exploration * np.sqrt(log_visits / num_visits)
        if bound > best_bound:
            best, best_bound = child, bound
        child = tree.older_sibling[child]
    return best


@compiled
def _keep_untried(tree, node, legal):
    """Leave in `legal` `[A]` only the actions without a child, and count them on the first visit."""
    if tree.num_untried[node] == NOT_COUNTED:
        tree.num_untried[node] = 0
        for action in range(legal.shape[0]):
            tree.num_untried[node] += legal[action]
    child = tree.last_child[node]
    while child != NO_NODE:
        legal[tree.actions[child]] = False
        child = tree.older_sibling[child]


@compiled
def _make_node(tree, node, parent, action, mover):
    """Make `node` the newest child of `parent`; the root's parent is NO_NODE."""
    tree.visits[node] = 0
    tree.value_sums[node] = 0.0
    tree.actions[node] = action
    tree.movers[node] = mover
    tree.num_untried[node] = NOT_COUNTED
    tree.last_child[node] = NO_NODE
    tree.older_sibling[node] = NO_NODE
    if parent != NO_NODE:
        tree.older_sibling[node] = tree.last_child[parent]
        tree.last_child[parent] = node
        tree.num_untried[parent] -= 1


@compiled
def _back_up(tree, path, depth, first_return):
    """Add one visit along the path; first_return is the result of player 0."""
    for level in range(depth + 1):
        node = path[level]
        tree.visits[node] += 1
        tree.value_sums[node] += first_return if tree.movers[node] == 0 else -first_return


@compiled
def _choose(tree, root_visits):
    """Write the visits `[A]` of the root's actions, and return the action to play."""
    best_action, best_visits, best_sum = -1, -1, 0.0
    child = tree.last_child[ROOT]
    while child != NO_NODE:
        num_visits, value_sum = tree.visits[child], tree.value_sums[child]
        root_visits[tree.actions[child]] = num_visits
        # A win that ends the game is exact; with few simulations a lucky rollout of another child looks the same.
        is_over = tree.num_untried[child] == 0 and tree.last_child[child] == NO_NODE
        if is_over and value_sum == num_visits:
            num_visits = np.iinfo(np.int32).max
        if num_visits > best_visits or (num_visits == best_visits and value_sum > best_sum):
            best_action, best_visits, best_sum = tree.actions[child], num_visits, value_sum
        child = tree.older_sibling[child]
    return best_action
