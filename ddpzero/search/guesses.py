"""Guesses at what a search asks next, evaluated beside what it asks for now.

On a processor and on a GPU a batch of a few positions takes hardly longer than one position, but a search often needs
one value before it can choose what to evaluate next. So it goes on as if the positions under evaluation were worth what
is expected of them, notes what it would ask for, and takes all of that back. Answers to guesses go to the cache, where
a simulation that arrives at such a position ends at once, as in a search of one leaf at a time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ddpzero.evaluators.answers import LOSS, OUTCOME_SIZE, POINTS, WIN
from ddpzero.games import Game
from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled, compiled_apart, copy_row
from ddpzero.search import forced_wins
from ddpzero.search.cache import NO_ENTRY, add_entry, find_entry
from ddpzero.search.forest import EVALUATED, PENDING, ROOT, TERMINAL, UNVISITED
from ddpzero.search.stacks import positions_met
from ddpzero.search.tree import expand, pack_smallest_view, select_action, set_node

# Of imagined simulations. Where they are deep, there are fewer of them.
_MOST_CHANGES = 1024
# By the search for forced wins of imagined positions.
_MOST_POSITIONS_MET = 50_000
# Of a move that the nodes above give no chance.
_LEAST_PRIOR = 1e-3

# An edge and the node that it begins at, before a simulation was imagined.
CHANGE = np.dtype(
    [
        ("node", np.int32),
        ("action", np.int32),
        ("value_sum", np.float32),
        ("visits", np.int32),
        ("child", np.int32),
        ("value_total", np.float32),
        ("visited_prior", np.float32),
        ("visit_sum", np.int32),
    ]
)


class Room(NamedTuple):
    """How much one tree may ask for at once. A NamedTuple, because numba unpacks it into plain arguments."""

    most_leaves: int
    most_together: int  # leaves and guesses
    # scratch
    changes: np.ndarray  # [_MOST_CHANGES] CHANGE
    logits: np.ndarray  # [A] float32, an evaluation that is expected
    outcome: np.ndarray  # [4] float32


def new_room(game: Game, most_leaves: int, most_together: int) -> Room:
    return Room(
        most_leaves,
        most_together,
        np.empty(_MOST_CHANGES, CHANGE),
        np.empty(game.num_actions, np.float32),
        np.zeros(OUTCOME_SIZE, np.float32),
    )


@compiled
def add_guesses(rules, forest, config, cache, weights_version, room, observations, num_leaves):
    """Write observations of guesses behind those of the leaves of the first tree; return their number.

    While the root itself is asked for, they are the positions after its moves, if all of them find a place: nothing is
    known of them.
    """
    if cache.versions.shape[0] == 0 or num_leaves >= room.most_together:
        return 0
    tree = forest.trees[0]
    fault = tree.fault
    most_together = room.most_together
    is_root_asked = forest.nodes[0, ROOT].state == PENDING
    for leaf in range(num_leaves):
        _evaluate(rules, forest, config, cache, room, forest.leaves[leaf].node, 0, NO_ENTRY)
    if is_root_asked:
        most_together = num_leaves + forest.nodes[0, ROOT].num_unknown
    num_rows = num_leaves
    if most_together <= room.most_together:
        num_rows = _imagine(
            rules,
            forest,
            config,
            cache,
            weights_version,
            room,
            observations,
            num_leaves,
            most_together,
        )
    for leaf in range(num_leaves):
        forest.nodes[0, forest.leaves[leaf].node].state = PENDING
    tree.fault = fault
    return num_rows - num_leaves


@compiled
def _imagine(
    rules, forest, config, cache, weights_version, room, observations, num_rows, most_together
):
    """Imagine simulations of the first tree until `most_together` positions are asked for; return their number.

    Nodes that these create are behind those of the tree; all else is taken back.
    """
    end = forest.trees[0].num_nodes
    num_changes = 0
    most_met = positions_met(forest.forced_wins) + _MOST_POSITIONS_MET
    for _ in range(2 * most_together):
        if num_rows >= most_together or end >= forest.positions.shape[1]:
            break
        if positions_met(forest.forced_wins) >= most_met:
            break
        node, action, depth = _descend(forest, config)
        if depth == 0 or num_changes + depth > room.changes.shape[0]:
            break
        if action != UNVISITED:
            _imagine_child(rules, forest, config, end, node, action)
            node = end
            end += 1
        if forest.nodes[0, node].state == PENDING:
            view = pack_smallest_view(rules, forest, cache, 0, node)
            place = find_entry(cache, forest.observation, weights_version)
            if place == NO_ENTRY:
                num_rows = _append(forest, observations, num_rows)
            _evaluate(rules, forest, config, cache, room, node, view, place)
        num_changes = _count_visit(forest, room.changes, num_changes, node)
    _take_back(forest, room.changes, num_changes)
    return num_rows


@compiled_apart
def _evaluate(rules, forest, config, cache, room, node, view, place):
    """Evaluate a node of the first tree by its entry in the cache; without one, as it is expected."""
    logits, outcome = room.logits, room.outcome
    if place == NO_ENTRY:
        _expect(forest, room, node)
    else:
        logits, outcome = cache.logits[place], cache.outcomes[place]
    expand(rules, forest, config, 0, node, cache.action_views[view], logits, outcome)


@compiled
def _expect(forest, room, index):
    """Write the evaluation of a node that those above suggest: its parent's value, and the moves that they prefer.

    For the root, of which nothing is known, a draw and equal moves.
    """
    room.logits[:] = 0.0
    value = 0.0
    node = forest.nodes[0, index]
    if index != ROOT:
        parent = forest.nodes[0, node.parent]
        value = (parent.value + parent.value_total) / (1.0 + parent.visit_sum)
        value = value if parent.mover == node.mover else -value
        # In most games the mover's own last choice.
        before = node.parent if node.parent == ROOT else parent.parent
        for action in range(room.logits.shape[0]):
            prior = forest.edges[0, node.parent, action].prior
            prior += forest.edges[0, before, action].prior
            room.logits[action] = math.log(prior + _LEAST_PRIOR)
    room.outcome[WIN] = max(value, 0.0)
    room.outcome[LOSS] = max(-value, 0.0)
    room.outcome[POINTS] = value


@compiled
def _append(forest, observations, num_rows):
    copy_row(forest.observation, observations[num_rows])
    return num_rows + 1


@compiled
def _descend(forest, config):
    """Return the node at which a descent from the first root ends, its action that leads to no node yet (else
    UNVISITED), and the number of actions; 0 if all that is left to choose is proven to lose."""
    node, depth = ROOT, 0
    while forest.nodes[0, node].state == EVALUATED:
        action = select_action(forest, config, 0, node)
        if action < 0:
            return node, UNVISITED, 0
        depth += 1
        if forest.edges[0, node, action].child == UNVISITED:
            return node, action, depth
        node = forest.edges[0, node, action].child
    return node, UNVISITED, depth


@compiled
def _imagine_child(rules, forest, config, index, node, action):
    """Write the child that an action leads to, which its parent does not know yet."""
    contract.copy_position(rules, forest.positions[0, node], forest.positions[0, index])
    contract.apply_action(rules, forest.positions[0, index], action)
    set_node(rules, forest, 0, index, node, action)
    # Not whether an endgame is proven: that takes milliseconds.
    if forest.nodes[0, index].state == PENDING and forced_wins.find_forced_win(
        rules, forest, config, 0, index
    ):
        forest.nodes[0, index].state = TERMINAL


@compiled
def _count_visit(forest, changes, num_changes, leaf):
    """Add the leaf's value to every edge up to the first root, as a simulation does; return the number of changes."""
    nodes = forest.nodes[0]
    value, mover = nodes[leaf].value, nodes[leaf].mover
    index = leaf
    while index != ROOT:
        parent_index, action = nodes[index].parent, nodes[index].parent_action
        parent = nodes[parent_index]
        edge = forest.edges[0, parent_index, action]
        change = changes[num_changes]
        change.node = parent_index
        change.action = action
        change.value_sum = edge.value_sum
        change.visits = edge.visits
        change.child = edge.child
        change.value_total = parent.value_total
        change.visited_prior = parent.visited_prior
        change.visit_sum = parent.visit_sum
        num_changes += 1
        change_of_value = value if parent.mover == mover else -value
        if edge.visits == 0:
            parent.visited_prior += edge.prior
        edge.visits += 1
        edge.value_sum += change_of_value
        edge.child = index
        parent.visit_sum += 1
        parent.value_total += change_of_value
        index = parent_index
    return num_changes


@compiled
def _take_back(forest, changes, num_changes):
    for index in range(num_changes - 1, -1, -1):
        change = changes[index]
        edge = forest.edges[0, change.node, change.action]
        node = forest.nodes[0, change.node]
        edge.value_sum = change.value_sum
        edge.visits = change.visits
        edge.child = change.child
        node.value_total = change.value_total
        node.visited_prior = change.visited_prior
        node.visit_sum = change.visit_sum


@compiled(cache=True)
def remember_guesses(cache, weights_version, first, observations, logits, outcomes):
    """Put the answers from row `first` on into the cache: logits `[n, A]`, outcomes `[n, 4]`."""
    for row in range(first, logits.shape[0]):
        add_entry(cache, observations[row], logits[row], outcomes[row], weights_version)
