"""Guesses at what a search asks next: positions after its first moves, evaluated beside the one that it asks for.

On a processor and on a GPU a batch of a few positions takes hardly longer than one position, and a search of a new
position begins with one at a time. Answers to guesses go to the cache, where the search finds them: it visits what it
would visit without them.
"""

from __future__ import annotations

from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled
from ddpzero.search.cache import NO_ENTRY, add_entry, find_entry
from ddpzero.search.forest import PENDING, ROOT, UNVISITED
from ddpzero.search.tree import pack_smallest_view


@compiled
def add_guesses(
    rules, forest, config, cache, weights_version, observations, num_leaves, most_together
):
    """Write observations of positions after moves at the first root behind those of the leaves; return their number.

    most_together: of leaves and guesses. While the root itself is asked for, its moves are guessed only if all of them
    find a place, for nothing is known of them; then the most probable ones.
    """
    scratch = forest.trees[0].num_nodes
    if cache.versions.shape[0] == 0 or scratch >= forest.positions.shape[1]:
        return 0
    if _weigh_moves(rules, forest) > most_together - num_leaves and _is_asked_for(forest):
        return 0
    weights = forest.weights
    num_rows = num_leaves
    while num_rows < most_together:
        action = weights.argmax()
        if weights[action] <= 0.0:
            break
        weights[action] = 0.0
        contract.copy_position(rules, forest.positions[0, ROOT], forest.positions[0, scratch])
        contract.apply_action(rules, forest.positions[0, scratch], action)
        if contract.is_terminal(rules, forest.positions[0, scratch]):
            continue
        pack_smallest_view(rules, forest, cache, 0, scratch)
        if find_entry(cache, forest.observation, weights_version) == NO_ENTRY:
            for index in range(forest.observation.shape[0]):
                observations[num_rows, index] = forest.observation[index]
            num_rows += 1
    return num_rows - num_leaves


@compiled
def _is_asked_for(forest):
    return forest.nodes[0, ROOT].state == PENDING


@compiled
def _weigh_moves(rules, forest):
    """Write the weight of each move of the first root that is in no tree yet into forest.weights; return how many."""
    weights = forest.weights
    number = 0
    if _is_asked_for(forest):
        contract.legal_actions(rules, forest.positions[0, ROOT], forest.legal)
    for action in range(weights.shape[0]):
        weights[action] = 0.0
        if _is_asked_for(forest):
            if forest.legal[action]:
                weights[action] = 1.0
        elif forest.edges[0, ROOT, action].child == UNVISITED:
            weights[action] = forest.edges[0, ROOT, action].prior
        if weights[action] > 0.0:
            number += 1
    return number


@compiled(cache=True)
def remember_guesses(cache, weights_version, first, observations, logits, outcomes):
    """Put the answers from row `first` on into the cache: logits `[n, A]`, outcomes `[n, 4]`."""
    for row in range(first, logits.shape[0]):
        add_entry(cache, observations[row], logits[row], outcomes[row], weights_version)
