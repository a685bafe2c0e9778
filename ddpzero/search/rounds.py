"""One round of all searches: a compiled call proposes leaves, another absorbs their evaluations."""

from __future__ import annotations

from ddpzero.evaluators.answers import are_usable
from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled
from ddpzero.search.ahead import climb_ahead, descend_ahead
from ddpzero.search.forest import ROOT, TOGETHER
from ddpzero.search.tree import LEAF_FOUND, back_up_leaf, evaluate_leaf, find_leaf, set_root


@compiled(cache=True)
def start_searches(rules, forest, positions):
    """Start a search at each of `positions` [n, P], in the first n slots."""
    for slot in range(positions.shape[0]):
        contract.copy_position(rules, positions[slot], forest.positions[slot, ROOT])
        set_root(rules, forest, slot)


@compiled(cache=True)
def propose_leaves(rules, forest, config, cache, weights_version, num_slots, observations):
    """Write the observations of leaves to evaluate into `observations` [max_batch, bytes]; return their number.

    0 means that the searches in the first num_slots slots are finished.
    """
    num_leaves = 0
    descend_ahead(forest, config, num_slots)
    for slot in range(num_slots):
        for _ in range(config.leaves_per_round):
            status, node = find_leaf(rules, forest, config, cache, weights_version, slot)
            if status != LEAF_FOUND:
                break
            num_leaves = register_leaf(forest, slot, node, observations, num_leaves)
            if node == ROOT:
                break
    return num_leaves


@compiled
def register_leaf(forest, slot, node, observations, num_leaves):
    """Append the leaf just found to the batch; return the new length of the batch."""
    forest.leaves[num_leaves].slot = slot
    forest.leaves[num_leaves].node = node
    forest.leaves[num_leaves].symmetry = forest.trees[slot].symmetry
    for index in range(forest.observation.shape[0]):
        observations[num_leaves, index] = forest.observation[index]
    return num_leaves + 1


@compiled(cache=True)
def absorb_evaluations(
    rules, forest, config, cache, weights_version, num_leaves, observations, logits, outcomes
):
    """Absorb the evaluations of the last proposed batch: logits [n, A], outcomes [n, 4].

    Returns False and changes nothing if they are unusable (see answers.py).
    """
    if not are_usable(logits, outcomes):
        return False
    for first in range(0, num_leaves, TOGETHER):
        last = min(first + TOGETHER, num_leaves)
        climb_ahead(forest, first, last, num_leaves)
        for leaf in range(first, last):
            evaluate_leaf(
                rules,
                forest,
                config,
                cache,
                weights_version,
                forest.leaves[leaf].slot,
                forest.leaves[leaf].node,
                forest.leaves[leaf].symmetry,
                observations[leaf],
                logits[leaf],
                outcomes[leaf],
            )
        for leaf in range(first, last):
            back_up_leaf(forest, config, forest.leaves[leaf].slot, forest.leaves[leaf].node)
    return True
