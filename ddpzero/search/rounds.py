"""A round of the whole forest: one compiled call proposes leaves, one absorbs what the evaluator said of them."""

from __future__ import annotations

from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled
from ddpzero.search.answers import are_usable
from ddpzero.search.forest import ROOT
from ddpzero.search.tree import LEAF_FOUND, back_up_leaf, evaluate_leaf, find_leaf, set_root


@compiled(cache=True)
def start_searches(rules, forest, positions):
    """Begin a search at each of `positions` [n, P], in the first n games."""
    for game in range(positions.shape[0]):
        contract.copy_position(rules, positions[game], forest.positions[game, ROOT])
        set_root(rules, forest, game)


@compiled(cache=True)
def propose_leaves(rules, forest, config, cache, weights_version, num_games, observations):
    """Write the observations of leaves to evaluate into `observations` [max_batch, bytes]; returns how many.

    0: every search among the first num_games is finished.
    """
    num_leaves = 0
    for game in range(num_games):
        for _ in range(config.leaves_per_round):
            outcome, node = find_leaf(rules, forest, config, cache, weights_version, game)
            if outcome != LEAF_FOUND:
                break
            num_leaves = register_leaf(forest, game, node, observations, num_leaves)
            if node == ROOT:
                break
    return num_leaves


@compiled
def register_leaf(forest, game, node, observations, num_leaves):
    """Put the leaf just found into the batch; returns the batch's new length."""
    forest.leaves[num_leaves].game = game
    forest.leaves[num_leaves].node = node
    for index in range(forest.observation.shape[0]):
        observations[num_leaves, index] = forest.observation[index]
    return num_leaves + 1


@compiled(cache=True)
def absorb_evaluations(
    rules, forest, config, cache, weights_version, num_leaves, observations, logits, outcomes
):
    """Take in the evaluations of the batch that was proposed last: logits [n, A], outcomes [n, 4].

    Returns False, and has changed nothing, if they are unusable (see answers.py).
    """
    if not are_usable(logits, outcomes):
        return False
    for leaf in range(num_leaves):
        evaluate_leaf(
            rules,
            forest,
            config,
            cache,
            weights_version,
            forest.leaves[leaf].game,
            forest.leaves[leaf].node,
            observations[leaf],
            logits[leaf],
            outcomes[leaf],
        )
    # After a forward pass the trees lie in slow memory. A short loop of its own lets the processor fetch the paths of
    # several games at a time: a third of this call.
    for leaf in range(num_leaves):
        back_up_leaf(forest, config, forest.leaves[leaf].game, forest.leaves[leaf].node)
    return True
