"""Games that play themselves: searches, moves and records of many games, in two compiled calls a round.

A game goes from move to move inside `propose_moves_and_leaves` until it needs the evaluator, so that batches stay
full whatever lies in the cache. Python sees a game again when it is over.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled, compiled_apart
from ddpzero.games.core.promises import NO_FAULT, NO_LEGAL_ACTION, TOO_LONG
from ddpzero.games.core.random_bits import choose_uniformly, next_below, next_float
from ddpzero.search.forest import ROOT
from ddpzero.search.rounds import register_leaf
from ddpzero.search.solver import is_solved
from ddpzero.search.tree import (
    LEAF_FOUND,
    SEARCH_FINISHED,
    choose_action,
    find_leaf,
    pack_observation,
    play_action,
    policy_target,
    root_result,
    root_score,
    set_root,
)
from ddpzero.system.memory import Layout, empty_arrays, layout_size_bytes

# Stages of a game's place in the lockstep.
IDLE = 0
PLAYING = 1
FINISHED = 2

# Random openings of one length that are drawn before a shorter one is drawn.
_MAX_TRIES = 100


class Record(NamedTuple):
    """What happened in each running game. Letters: G games, T max_plies, A actions."""

    stages: np.ndarray  # [G] int8
    plays_out: np.ndarray  # [G] bool, goes on when its result is proven
    num_plies: np.ndarray  # [G] int32, moves made, random openings included
    movers: np.ndarray  # [G, T] int8
    actions: np.ndarray  # [G, T] int32
    is_sample: np.ndarray  # [G, T] bool, False for the random opening
    observations: np.ndarray  # [G, T, bytes] uint8, bit-packed
    policy_targets: np.ndarray  # [G, T, A] float32
    root_values: np.ndarray  # [G, T] float32, the search's value for the mover
    root_draws: np.ndarray  # [G, T] float32, the network's probability of a draw
    root_scores: (
        np.ndarray
    )  # [G, T] float32, the points that the mover is ahead at the end, says the search
    is_decided: (
        np.ndarray
    )  # [G, T] bool, by a random move or a proof: the search's value is the result
    weights_versions: np.ndarray  # [G, T] int32
    returns: np.ndarray  # [G, 2] float32, of a finished game
    is_played_out: np.ndarray  # [G] bool, the rules ended it: what follows is known
    scores: np.ndarray  # [G] int32, the first player's points minus the second's
    owners: np.ndarray  # [G, B] int8, see contract.ownership


def new_record(game: Game, num_games: int) -> Record:
    """Allocate a record in which no game is running."""
    arrays = empty_arrays(_layout(game, num_games))
    arrays["stages"].fill(IDLE)
    arrays["plays_out"].fill(True)
    for name in ("num_plies", "is_played_out", "scores", "owners"):
        arrays[name].fill(0)
    return Record(**arrays)


def record_size_bytes(game: Game, num_games: int) -> int:
    """Memory of a record once games of the greatest length were played."""
    return layout_size_bytes(_layout(game, num_games))


def _layout(game: Game, num_games: int) -> Layout:
    plies = (num_games, game.spec.max_plies)
    return {
        "stages": ((num_games,), np.int8),
        "plays_out": ((num_games,), np.bool_),
        "num_plies": ((num_games,), np.int32),
        "movers": (plies, np.int8),
        "actions": (plies, np.int32),
        "is_sample": (plies, np.bool_),
        "observations": ((*plies, game.observation_size_bytes), np.uint8),
        "policy_targets": ((*plies, game.num_actions), np.float32),
        "root_values": (plies, np.float32),
        "root_draws": (plies, np.float32),
        "root_scores": (plies, np.float32),
        "is_decided": (plies, np.bool_),
        "weights_versions": (plies, np.int32),
        "returns": ((num_games, 2), np.float32),
        "is_played_out": ((num_games,), np.bool_),
        "scores": ((num_games,), np.int32),
        "owners": ((num_games, game.num_cells), np.int8),
    }


@compiled(cache=True)
def start_game(rules, forest, record, slot, opening_random_plies, play_out_fraction):
    """Begin a game in place `game` with 0 .. opening_random_plies uniformly random moves, all counts equally likely.

    play_out_fraction: the probability that it will go on after its result is proven.
    """
    position = forest.positions[slot, ROOT]
    contract.initial_position(rules, position)
    num_random_plies = next_below(forest.random_states[slot], opening_random_plies + 1)
    ply = 0
    num_tries = 0
    while ply < num_random_plies:
        contract.legal_actions(rules, position, forest.legal)
        action = choose_uniformly(forest.legal, forest.random_states[slot])
        if action < 0:
            # A broken promise of the game: the first search finds it, too.
            break
        record.movers[slot, ply] = contract.current_player(rules, position)
        record.actions[slot, ply] = action
        record.is_sample[slot, ply] = False
        record.is_decided[slot, ply] = False
        contract.apply_action(rules, position, action)
        ply += 1
        if contract.is_terminal(rules, position):
            # An opening that ends the game teaches nothing: draw another one. Where hardly any is so long, be content
            # with half.
            contract.initial_position(rules, position)
            ply = 0
            num_tries += 1
            if num_tries % _MAX_TRIES == 0:
                num_random_plies //= 2
    record.num_plies[slot] = ply
    record.plays_out[slot] = next_float(forest.random_states[slot]) < play_out_fraction
    record.stages[slot] = PLAYING
    set_root(rules, forest, slot)


@compiled(cache=True)
def propose_moves_and_leaves(
    rules, forest, config, cache, record, weights_version, random_action_fraction, observations
):
    """Play on in every game until it needs the evaluator or is over.

    Returns (leaves proposed, simulations of the moves made). A game that breaks a promise is left idle, with its fault
    in forest.trees.

    observations: `[max_batch, bytes]`, whose first rows receive the leaves' observations.
    """
    num_leaves = 0
    num_simulations = 0
    for slot in range(record.stages.shape[0]):
        num_leaves_of_game = 0
        while record.stages[slot] == PLAYING and num_leaves_of_game < config.leaves_per_round:
            outcome, node = find_leaf(rules, forest, config, cache, weights_version, slot)
            if outcome == SEARCH_FINISHED:
                num_simulations += forest.trees[slot].num_finished
                _make_move(
                    rules, forest, config, record, weights_version, random_action_fraction, slot
                )
            elif outcome == LEAF_FOUND:
                num_leaves = register_leaf(forest, slot, node, observations, num_leaves)
                num_leaves_of_game += 1
                if node == ROOT:
                    break
            else:
                break
    return num_leaves, num_simulations


@compiled_apart
def _make_move(rules, forest, config, record, weights_version, random_action_fraction, slot):
    ply = record.num_plies[slot]
    if ply >= record.actions.shape[1]:
        forest.trees[slot].fault = TOO_LONG
    if forest.trees[slot].fault != NO_FAULT:
        record.stages[slot] = IDLE
        return
    state = forest.random_states[slot]
    position = forest.positions[slot, ROOT]
    pack_observation(rules, forest, slot, ROOT)
    for index in range(forest.observation.shape[0]):
        record.observations[slot, ply, index] = forest.observation[index]
    policy_target(forest, config, slot, record.policy_targets[slot, ply])
    is_proven = is_solved(forest, slot)
    ends_here = is_proven and not record.plays_out[slot]
    best_action = choose_action(forest, config, slot, ply)
    action = best_action
    if not ends_here and next_float(state) < random_action_fraction:
        contract.legal_actions(rules, position, forest.legal)
        action = choose_uniformly(forest.legal, state)
    if action < 0:
        forest.trees[slot].fault = NO_LEGAL_ACTION
        record.stages[slot] = IDLE
        return
    record.movers[slot, ply] = forest.nodes[slot, ROOT].mover
    record.actions[slot, ply] = action
    record.is_sample[slot, ply] = True
    record.root_values[slot, ply] = root_result(forest, config, slot)
    record.root_draws[slot, ply] = forest.nodes[slot, ROOT].draw_share
    record.root_scores[slot, ply] = root_score(forest, config, slot)
    record.is_decided[slot, ply] = is_proven or action != best_action
    record.weights_versions[slot, ply] = weights_version
    record.num_plies[slot] = ply + 1
    if ends_here:
        mover = record.movers[slot, ply]
        record.returns[slot, mover] = record.root_values[slot, ply]
        record.returns[slot, 1 - mover] = -record.root_values[slot, ply]
        record.is_played_out[slot] = False
        record.stages[slot] = FINISHED
        return
    play_action(rules, forest, config, slot, action)
    if contract.is_terminal(rules, position):
        record.stages[slot] = FINISHED
        for player in range(2):
            record.returns[slot, player] = contract.player_return(rules, position, player)
        record.is_played_out[slot] = True
        record.scores[slot] = contract.score(rules, position)
        contract.ownership(rules, position, record.owners[slot])
