"""Self-play of many episodes at once: searches, moves and buffers, with two compiled calls per round.

`propose_moves_and_leaves` continues each episode from move to move until it needs the evaluator, so that batches stay
full even if many evaluations are in the cache. Python handles an episode again only when it is finished.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled, compiled_apart
from ddpzero.games.core.promises import NO_FAULT, NO_LEGAL_ACTION, TOO_LONG
from ddpzero.games.core.random_bits import choose_uniformly, next_below, next_float
from ddpzero.search.ahead import descend_ahead
from ddpzero.search.forest import FAST, FULL, ROOT
from ddpzero.search.rounds import register_leaf
from ddpzero.search.solver import is_solved
from ddpzero.search.tree import (
    LEAF_FOUND,
    SEARCH_FINISHED,
    choose_action,
    find_leaf,
    pack_observation,
    play_action,
    policy_surprise,
    policy_target,
    root_result,
    root_score,
    set_root,
)
from ddpzero.system.memory import Layout, empty_arrays, layout_size_bytes

# Statuses of a slot.
IDLE = 0
PLAYING = 1
FINISHED = 2

# Random openings of one length to try before the length is halved.
_MAX_TRIES = 100

# Indices in EpisodeBuffers.counts.
MOVES = 0  # of searches, random openings excluded
PROVEN_MOVES = 1  # whose root was proven
MOVES_WITH_POLICY = 2  # with a policy target
NUM_COUNTS = 3


class EpisodeBuffers(NamedTuple):
    """The data of running episodes. Letters: G slots, T max_plies, A actions, B owner cells."""

    statuses: np.ndarray  # [G] int8
    plays_out: np.ndarray  # [G] bool, continues after its outcome is proven
    num_plies: (
        np.ndarray
    )  # [G] int32, moves made, those before a restart and random openings included
    restart_plies: (
        np.ndarray
    )  # [G] int32, moves before the restart from an archived position; 0 for none
    movers: np.ndarray  # [G, T] int8
    actions: np.ndarray  # [G, T] int32
    is_sample: np.ndarray  # [G, T] bool, False before a restart and for the random opening
    observations: np.ndarray  # [G, T, bytes] uint8, bit-packed
    policy_targets: np.ndarray  # [G, T, A] float32; 0 after a fast search that proved nothing
    surprises: np.ndarray  # [G, T] float32, see policy_surprise
    root_values: np.ndarray  # [G, T] float32, the search's value for the mover
    root_draws: np.ndarray  # [G, T] float32, the network's probability of a draw
    root_scores: np.ndarray  # [G, T] float32, the search's score margin for the mover
    # Decided by a random move or a proof: the search's value replaces the outcome for this ply and those before it.
    is_decided: np.ndarray  # [G, T] bool
    weights_versions: np.ndarray  # [G, T] int32
    returns: np.ndarray  # [G, 2] float32, of a finished episode
    is_played_out: np.ndarray  # [G] bool, the rules ended it, so that score and owners are known
    scores: np.ndarray  # [G] int32, the first player's score minus the second's
    owners: np.ndarray  # [G, B] int8, see contract.ownership
    counts: np.ndarray  # [NUM_COUNTS] int64, of moves since they were last read


def new_episode_buffers(game: Game, num_games: int) -> EpisodeBuffers:
    """Allocate buffers in which every slot is idle."""
    arrays = empty_arrays(_layout(game, num_games))
    arrays["statuses"].fill(IDLE)
    arrays["plays_out"].fill(True)
    for name in ("num_plies", "restart_plies", "is_played_out", "scores", "owners", "counts"):
        arrays[name].fill(0)
    return EpisodeBuffers(**arrays)


def episode_buffers_size_bytes(game: Game, num_games: int) -> int:
    """Return the memory that the buffers occupy once each slot has held an episode of max_plies plies."""
    return layout_size_bytes(_layout(game, num_games))


def _layout(game: Game, num_games: int) -> Layout:
    plies = (num_games, game.spec.max_plies)
    return {
        "statuses": ((num_games,), np.int8),
        "plays_out": ((num_games,), np.bool_),
        "num_plies": ((num_games,), np.int32),
        "restart_plies": ((num_games,), np.int32),
        "movers": (plies, np.int8),
        "actions": (plies, np.int32),
        "is_sample": (plies, np.bool_),
        "observations": ((*plies, game.observation_size_bytes), np.uint8),
        "policy_targets": ((*plies, game.num_actions), np.float32),
        "surprises": (plies, np.float32),
        "root_values": (plies, np.float32),
        "root_draws": (plies, np.float32),
        "root_scores": (plies, np.float32),
        "is_decided": (plies, np.bool_),
        "weights_versions": (plies, np.int32),
        "returns": ((num_games, 2), np.float32),
        "is_played_out": ((num_games,), np.bool_),
        "scores": ((num_games,), np.int32),
        "owners": ((num_games, game.num_cells), np.int8),
        "counts": ((NUM_COUNTS,), np.int64),
    }


@compiled(cache=True)
def start_game(
    rules,
    forest,
    buffers,
    slot,
    earlier_moves,
    opening_random_plies,
    begins_at_any_ply,
    play_out_fraction,
    full_search_fraction,
):
    """Start an episode in `slot` after `earlier_moves`, or with 0 .. opening_random_plies uniformly random moves.

    earlier_moves: `[n]` int32, legal moves that lead to a position that is not terminal. If there are any, no random
        moves follow. The number of random moves is sampled uniformly.
    begins_at_any_ply: start from a ply of a random game instead, sampled uniformly from all of its plies.
    play_out_fraction: the probability that the episode continues after its outcome is proven.
    full_search_fraction: the probability of a full search for the first move.
    """
    position = forest.positions[slot, ROOT]
    contract.initial_position(rules, position)
    buffers.num_plies[slot] = 0
    for action in earlier_moves:
        _make_unsearched_move(rules, forest, buffers, slot, action)
    buffers.restart_plies[slot] = len(earlier_moves)
    num_random_plies = 0
    if begins_at_any_ply:
        _begin_at_any_ply(rules, forest, buffers, slot)
    elif len(earlier_moves) == 0:
        num_random_plies = next_below(forest.random_states[slot], opening_random_plies + 1)
    num_tries = 0
    while buffers.num_plies[slot] < num_random_plies:
        # If the game breaks its contract, the first search reports it.
        if not _make_random_move(rules, forest, buffers, slot):
            break
        if contract.is_terminal(rules, position):
            # An opening that ends the game gives no samples: try another one. After many tries halve its length, since
            # hardly any game is this long.
            contract.initial_position(rules, position)
            buffers.num_plies[slot] = 0
            num_tries += 1
            if num_tries % _MAX_TRIES == 0:
                num_random_plies //= 2
    buffers.plays_out[slot] = next_float(forest.random_states[slot]) < play_out_fraction
    buffers.statuses[slot] = PLAYING
    set_root(rules, forest, slot)
    _choose_budget(forest, slot, full_search_fraction)


@compiled
def _choose_budget(forest, slot, full_search_fraction):
    """Decide whether the next search is full or fast."""
    # Without fast searches no random number is drawn, so that runs repeat those of earlier versions.
    is_full = full_search_fraction >= 1.0
    if not is_full:
        is_full = next_float(forest.random_states[slot]) < full_search_fraction
    forest.trees[slot].budget = FULL if is_full else FAST


@compiled_apart
def _begin_at_any_ply(rules, forest, buffers, slot):
    position = forest.positions[slot, ROOT]
    while buffers.num_plies[slot] < buffers.actions.shape[1]:
        is_over = contract.is_terminal(rules, position)
        if is_over or not _make_random_move(rules, forest, buffers, slot):
            break
    num_plies = next_below(forest.random_states[slot], max(1, buffers.num_plies[slot]))
    contract.initial_position(rules, position)
    buffers.num_plies[slot] = 0
    for ply in range(num_plies):
        _make_unsearched_move(rules, forest, buffers, slot, buffers.actions[slot, ply])


@compiled
def _make_random_move(rules, forest, buffers, slot):
    """Make a random move; return False if there is none."""
    contract.legal_actions(rules, forest.positions[slot, ROOT], forest.legal)
    action = choose_uniformly(forest.legal, forest.random_states[slot])
    if action >= 0:
        _make_unsearched_move(rules, forest, buffers, slot, action)
    return action >= 0


@compiled_apart
def _make_unsearched_move(rules, forest, buffers, slot, action):
    ply = buffers.num_plies[slot]
    position = forest.positions[slot, ROOT]
    buffers.movers[slot, ply] = contract.current_player(rules, position)
    buffers.actions[slot, ply] = action
    buffers.is_sample[slot, ply] = False
    buffers.is_decided[slot, ply] = False
    contract.apply_action(rules, position, action)
    buffers.num_plies[slot] = ply + 1


@compiled(cache=True)
def propose_moves_and_leaves(
    rules,
    forest,
    config,
    cache,
    weights_version,
    buffers,
    random_action_fraction,
    full_search_fraction,
    observations,
):
    """Continue every episode until it needs the evaluator or is finished.

    Returns (leaves proposed, simulations of the moves made). If the game breaks its contract, the slot becomes idle and
    the fault is in forest.trees.

    observations: `[max_batch, bytes]`; the leaves' observations are written to its first rows.
    """
    num_leaves = 0
    num_simulations = 0
    descend_ahead(forest, config, buffers.statuses.shape[0])
    for slot in range(buffers.statuses.shape[0]):
        num_leaves_of_slot = 0
        while buffers.statuses[slot] == PLAYING and num_leaves_of_slot < config.leaves_per_round:
            status, node = find_leaf(rules, forest, config, cache, weights_version, slot)
            if status == SEARCH_FINISHED:
                num_simulations += forest.trees[slot].num_finished
                _make_move(
                    rules, forest, config, buffers, weights_version, random_action_fraction, slot
                )
                if buffers.statuses[slot] == PLAYING:
                    _choose_budget(forest, slot, full_search_fraction)
            elif status == LEAF_FOUND:
                num_leaves = register_leaf(forest, slot, node, observations, num_leaves)
                num_leaves_of_slot += 1
                if node == ROOT:
                    break
            else:
                break
    return num_leaves, num_simulations


@compiled_apart
def _make_move(rules, forest, config, buffers, weights_version, random_action_fraction, slot):
    ply = buffers.num_plies[slot]
    if ply >= buffers.actions.shape[1]:
        forest.trees[slot].fault = TOO_LONG
    if forest.trees[slot].fault != NO_FAULT:
        buffers.statuses[slot] = IDLE
        return
    state = forest.random_states[slot]
    position = forest.positions[slot, ROOT]
    pack_observation(rules, forest, slot, ROOT)
    for index in range(forest.observation.shape[0]):
        buffers.observations[slot, ply, index] = forest.observation[index]
    target = buffers.policy_targets[slot, ply]
    policy_target(forest, config, slot, target)
    buffers.surprises[slot, ply] = policy_surprise(forest, slot, target)
    is_proven = is_solved(forest, slot)
    has_policy = is_proven or forest.trees[slot].budget == FULL
    if not has_policy:
        target[:] = 0.0
    ends_here = is_proven and not buffers.plays_out[slot]
    best_action = choose_action(forest, config, slot, ply)
    action = best_action
    if not ends_here and next_float(state) < random_action_fraction:
        contract.legal_actions(rules, position, forest.legal)
        action = choose_uniformly(forest.legal, state)
    if action < 0:
        forest.trees[slot].fault = NO_LEGAL_ACTION
        buffers.statuses[slot] = IDLE
        return
    buffers.movers[slot, ply] = forest.nodes[slot, ROOT].mover
    buffers.actions[slot, ply] = action
    buffers.is_sample[slot, ply] = True
    buffers.root_values[slot, ply] = root_result(forest, config, slot)
    buffers.root_draws[slot, ply] = forest.nodes[slot, ROOT].draw_share
    buffers.root_scores[slot, ply] = root_score(forest, config, slot)
    buffers.is_decided[slot, ply] = is_proven or action != best_action
    buffers.weights_versions[slot, ply] = weights_version
    buffers.num_plies[slot] = ply + 1
    buffers.counts[MOVES] += 1
    buffers.counts[PROVEN_MOVES] += is_proven
    buffers.counts[MOVES_WITH_POLICY] += has_policy
    if ends_here:
        mover = buffers.movers[slot, ply]
        buffers.returns[slot, mover] = buffers.root_values[slot, ply]
        buffers.returns[slot, 1 - mover] = -buffers.root_values[slot, ply]
        buffers.is_played_out[slot] = False
        buffers.statuses[slot] = FINISHED
        return
    play_action(rules, forest, config, slot, action)
    if contract.is_terminal(rules, position):
        buffers.statuses[slot] = FINISHED
        for player in range(2):
            buffers.returns[slot, player] = contract.player_return(rules, position, player)
        buffers.is_played_out[slot] = True
        buffers.scores[slot] = contract.score(rules, position)
        contract.ownership(rules, position, buffers.owners[slot])
