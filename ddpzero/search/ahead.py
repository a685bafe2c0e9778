"""Moves through several trees at the same time, so that memory arrives before it is needed.

After a forward pass the trees have left the processor's near caches, and a descent waits for memory at every level:
that was two thirds of the time of a search of Connect Four. Here a few trees take a step in turn, and the node that a
tree comes to is fetched while the others move. This changes no result, only when memory is fetched.
"""

from __future__ import annotations

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.prefetch import CACHE_LINE_BYTES, prefetch
from ddpzero.search.forest import EDGE, EVALUATED, ROOT, TOGETHER, UNVISITED
from ddpzero.search.tree import goes_on, select_action

_EDGES_IN_A_LINE = CACHE_LINE_BYTES // EDGE.itemsize


@compiled
def descend_ahead(forest, config, num_slots):
    """Let every search that goes on descend as far as its tree reaches; find_leaf (tree.py) goes on from there."""
    moving = forest.moving
    for first in range(0, num_slots, TOGETHER):
        last = min(first + TOGETHER, num_slots)
        num_moving = 0
        for slot in range(first, last):
            if goes_on(forest, slot):
                moving[num_moving] = slot
                num_moving += 1
        for slot in range(last, min(last + TOGETHER, num_slots)):
            _fetch_node(forest, slot, ROOT)
        while num_moving > 0:
            num_left = 0
            for index in range(num_moving):
                if _step_down(forest, config, moving[index]):
                    moving[num_left] = moving[index]
                    num_left += 1
            num_moving = num_left


@compiled
def _step_down(forest, config, slot):
    """Select an action where the slot's descent is; return whether it goes on below."""
    tree = forest.trees[slot]
    node = tree.reached
    if forest.nodes[slot, node].state != EVALUATED:
        return False
    action = select_action(forest, config, slot, node)
    child = forest.edges[slot, node, action].child
    if child == UNVISITED:
        tree.next_action = action
        prefetch(forest.positions[slot, node])
        prefetch(forest.positions[slot, tree.num_nodes])
        prefetch(forest.nodes[slot, tree.num_nodes])
        return False
    tree.reached = child
    _fetch_node(forest, slot, child)
    return True


@compiled
def climb_ahead(forest, first, last, num_leaves):
    """Fetch what the leaves from `first` to before `last` need, at most TOGETHER, to be evaluated and backed up.

    Also begins to fetch the leaves after them.
    """
    if first == 0:
        for leaf in range(last):
            _fetch_leaf(forest, leaf)
    for leaf in range(last, min(last + TOGETHER, num_leaves)):
        _fetch_leaf(forest, leaf)
    moving = forest.moving
    num_moving = 0
    for leaf in range(first, last):
        moving[leaf - first] = forest.leaves[leaf].node
        num_moving += moving[leaf - first] != ROOT
    while num_moving > 0:
        num_moving = 0
        for leaf in range(first, last):
            if moving[leaf - first] != ROOT:
                moving[leaf - first] = _step_up(
                    forest, forest.leaves[leaf].slot, moving[leaf - first]
                )
                num_moving += moving[leaf - first] != ROOT


@compiled
def _step_up(forest, slot, node):
    """Begin to fetch the edge to a node and its parent; return the parent."""
    parent = forest.nodes[slot, node].parent
    prefetch(forest.nodes[slot, parent])
    prefetch(forest.edges[slot, parent, forest.nodes[slot, node].parent_action])
    return parent


@compiled
def _fetch_leaf(forest, leaf):
    slot, node = forest.leaves[leaf].slot, forest.leaves[leaf].node
    prefetch(forest.trees[slot])
    prefetch(forest.positions[slot, node])
    _fetch_node(forest, slot, node)


@compiled
def _fetch_node(forest, slot, node):
    prefetch(forest.nodes[slot, node])
    for action in range(0, forest.edges.shape[2], _EDGES_IN_A_LINE):
        prefetch(forest.edges[slot, node, action])
