"""The forest: one tree per game, all in preallocated arrays.

Letters: G games, N nodes a tree can hold, A actions, P position_size.

Node 0 is the root. A node exists once its position does; a child's index is above its parent's. Values of a node or
an edge are seen by the node's mover, so that a player who moves twice running needs no special case.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpzero.games import Game
from ddpzero.games.random_bits import new_random_states

ROOT = 0
UNVISITED = -1

PENDING = 0  # node states: waits for the evaluator
EVALUATED = 1
TERMINAL = 2


class Forest(NamedTuple):
    """Arrays of the trees; a NamedTuple because numba takes it apart into plain arguments."""

    # per node
    positions: np.ndarray  # [G, N, P] the game's dtype
    movers: np.ndarray  # [G, N] int8, player to move
    states: np.ndarray  # [G, N] int8, PENDING | EVALUATED | TERMINAL
    parents: np.ndarray  # [G, N] int32
    parent_actions: np.ndarray  # [G, N] int32
    values: np.ndarray  # [G, N] float32, the evaluator's (or the rules') verdict
    draw_shares: np.ndarray  # [G, N] float32, the evaluator's probability of a draw
    visit_sums: np.ndarray  # [G, N] int32, sum of the edges' visits
    value_totals: np.ndarray  # [G, N] float32, sum of the edges' value_sums
    visited_priors: np.ndarray  # [G, N] float32, sum of the visited edges' priors
    # per edge
    priors: np.ndarray  # [G, N, A] float32, 0 exactly for illegal actions, above 0 for legal ones
    visits: np.ndarray  # [G, N, A] int32
    value_sums: np.ndarray  # [G, N, A] float32
    children: np.ndarray  # [G, N, A] int32, UNVISITED or the child's index
    # per game
    num_nodes: np.ndarray  # [G] int32
    simulations_started: np.ndarray  # [G] int32, of the present move
    simulations_finished: np.ndarray  # [G] int32
    root_scores: np.ndarray  # [G, A] float64, Gumbel: log prior + noise; -inf for illegal actions
    num_considered: np.ndarray  # [G] int32, Gumbel: actions that sequential halving starts with
    random_states: np.ndarray  # [G, 2] uint64
    # leaves that wait for the evaluator, in the order of the batch
    leaf_games: np.ndarray  # [G * leaves_per_round] int32
    leaf_nodes: np.ndarray  # [G * leaves_per_round] int32
    # scratch of one game at a time
    planes: np.ndarray  # [8 * observation bytes] uint8, what `observe` writes, then zeros
    plane_words: np.ndarray  # the same memory as uint64, eight planes' cells a word
    observation: np.ndarray  # [observation bytes] uint8, bit-packed
    legal: np.ndarray  # [A] bool
    weights: np.ndarray  # [A] float64
    node_map: np.ndarray  # [N] int32


def new_forest(
    game: Game, num_games: int, max_nodes: int, leaves_per_round: int, seed: int
) -> Forest:
    """Allocate a forest; its roots hold nothing until `set_root` or `start_search`."""
    planes = np.zeros(8 * game.observation_size_bytes, np.uint8)
    nodes = (num_games, max_nodes)
    edges = (num_games, max_nodes, game.num_actions)
    # np.empty takes no memory before a node is used; every node and edge is written when the node is made.
    return Forest(
        positions=np.empty((*nodes, game.spec.position_size), game.spec.position_dtype),
        movers=np.empty(nodes, np.int8),
        states=np.empty(nodes, np.int8),
        parents=np.empty(nodes, np.int32),
        parent_actions=np.empty(nodes, np.int32),
        values=np.empty(nodes, np.float32),
        draw_shares=np.empty(nodes, np.float32),
        visit_sums=np.empty(nodes, np.int32),
        value_totals=np.empty(nodes, np.float32),
        visited_priors=np.empty(nodes, np.float32),
        priors=np.empty(edges, np.float32),
        visits=np.empty(edges, np.int32),
        value_sums=np.empty(edges, np.float32),
        children=np.empty(edges, np.int32),
        num_nodes=np.zeros(num_games, np.int32),
        simulations_started=np.zeros(num_games, np.int32),
        simulations_finished=np.zeros(num_games, np.int32),
        root_scores=np.empty((num_games, game.num_actions), np.float64),
        num_considered=np.zeros(num_games, np.int32),
        random_states=new_random_states(seed, num_games),
        leaf_games=np.empty(num_games * leaves_per_round, np.int32),
        leaf_nodes=np.empty(num_games * leaves_per_round, np.int32),
        planes=planes,
        plane_words=planes.view(np.uint64),
        observation=np.empty(game.observation_size_bytes, np.uint8),
        legal=np.empty(game.num_actions, np.bool_),
        weights=np.empty(game.num_actions, np.float64),
        node_map=np.empty(max_nodes, np.int32),
    )
