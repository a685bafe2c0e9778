"""The forest: one tree per slot, all in preallocated arrays.

Letters: G slots, N nodes a tree can hold, A actions, P position_size.

Node 0 is the root. A child's index is above its parent's. Values of a node or an edge are from the perspective of the
node's mover, so that a player who moves twice in a row needs no special case.

Nodes and edges are arrays of structures: with an array for each field, a search of 256 trees spent a third of its time
waiting for memory, and compiled a third longer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.search.endgame import EndgameStack, endgame_size_bytes, new_endgame_stack
from ddpzero.search.forced_wins import WinStack, new_win_stack, win_stack_size_bytes
from ddpzero.search.settings import SearchSettings
from ddpzero.system.memory import Layout, empty_arrays, layout_size_bytes

ROOT = 0
UNVISITED = -1

# Trees that move at the same time, see ahead.py: enough that a node arrives before its tree's turn, and so few that
# what arrives stays in the nearest cache.
TOGETHER = 16

FULL = 0  # indices in forest.budgets
FAST = 1
NUM_BUDGETS = 2

PENDING = 0  # node states: not evaluated yet
EVALUATED = 1
TERMINAL = 2  # the game is over, or exhaustive search proved the value
SOLVED = 3  # evaluated, and its value is proven


NODE = np.dtype(
    [
        ("value", np.float32),  # by the evaluator, the rules or a proof
        ("draw_share", np.float32),  # the evaluator's probability of a draw
        ("points", np.float32),  # expected points in [-1, 1], see points.py; part of value
        ("points_total", np.float32),  # sum over the node's own evaluation and all simulations
        ("value_total", np.float32),  # sum of the edges' value_sums
        ("visited_prior", np.float32),  # sum of the visited edges' priors
        ("visit_sum", np.int32),  # sum of the edges' visits
        ("parent", np.int32),
        ("parent_action", np.int32),
        ("num_unknown", np.int16),  # legal actions whose value is not proven
        ("mover", np.int8),  # player to move
        ("state", np.int8),  # PENDING | EVALUATED | TERMINAL | SOLVED
    ],
    align=True,
)
EDGE = np.dtype(
    [
        ("prior", np.float32),  # exactly 0 for illegal actions, above 0 for legal ones
        ("value_sum", np.float32),
        ("visits", np.int32),
        ("child", np.int32),  # UNVISITED, or the child's index
    ]
)
TREE = np.dtype(
    [
        ("num_nodes", np.int32),
        ("num_started", np.int32),  # simulations of the current move
        ("num_finished", np.int32),
        ("budget", np.int32),  # index in forest.budgets, for the next move
        ("num_simulations", np.int32),  # to make for the current move
        ("num_considered", np.int32),  # Gumbel: actions that sequential halving starts with
        (
            "symmetry",
            np.int32,
        ),  # of the view in which the leaf found last is evaluated, see cache.py
        ("reached", np.int32),  # node at which the next descent goes on, see ahead.py
        (
            "next_action",
            np.int32,
        ),  # its action that the descent takes then; UNVISITED: not selected
        (
            "fault",
            np.int32,
        ),  # how the game broke its contract in this tree, see games/core/promises.py
    ]
)
LEAF = np.dtype([("slot", np.int32), ("node", np.int32), ("symmetry", np.int32)])


class Forest(NamedTuple):
    """Arrays of the trees. A NamedTuple, because numba unpacks it into plain arguments."""

    positions: np.ndarray  # [G, N, P] the game's dtype
    nodes: np.ndarray  # [G, N] NODE
    edges: np.ndarray  # [G, N, A] EDGE, of evaluated nodes
    trees: np.ndarray  # [G] TREE
    budgets: np.ndarray  # [NUM_BUDGETS] int32, simulations of a search that begins now
    root_scores: np.ndarray  # [G, A] float64, Gumbel: log prior + noise; -inf for illegal actions
    random_states: np.ndarray  # [G, 2] uint64
    leaves: np.ndarray  # [G * leaves_per_round] LEAF, under evaluation, in the order of the batch
    # scratch for one tree at a time
    planes: np.ndarray  # [8 * bytes of the planes] uint8, output of `observe`, then zeros
    plane_words: np.ndarray  # the same memory as uint64, eight planes' cells a word
    observation: np.ndarray  # [observation bytes] uint8, bit-packed planes, then globals
    globals: np.ndarray  # [F] int8, the end of the observation
    legal: np.ndarray  # [A] bool
    weights: np.ndarray  # [A] float64
    node_map: np.ndarray  # [N] int32
    moving: np.ndarray  # [TOGETHER] int32, see ahead.py
    endgame: EndgameStack | None
    forced_wins: WinStack | None


def new_forest(
    game: Game, settings: SearchSettings, num_games: int, max_nodes: int, seed: int
) -> Forest:
    """Allocate a forest. `set_root` or `start_searches` initializes a tree."""
    # np.empty takes no physical memory before a node is used; creating a node writes all its entries.
    arrays = empty_arrays(_layout(game, settings, num_games, max_nodes))
    for name in ("trees", "budgets", "planes"):
        arrays[name].fill(0)
    return Forest(
        **arrays,
        random_states=new_random_states(seed, num_games),
        plane_words=arrays["planes"].view(np.uint64),
        globals=arrays["observation"][game.planes_size_bytes :].view(np.int8),
        endgame=new_endgame_stack(game, settings.endgame_plies),
        forced_wins=new_win_stack(game, settings.forced_win_plies),
    )


def forest_size_bytes(game: Game, settings: SearchSettings, num_games: int, max_nodes: int) -> int:
    """Memory of a forest whose trees are full; see new_forest."""
    layout = _layout(game, settings, num_games, max_nodes)
    layout["random_states"] = ((num_games, 2), np.uint64)
    return (
        layout_size_bytes(layout)
        + endgame_size_bytes(game, settings.endgame_plies)
        + win_stack_size_bytes(game, settings.forced_win_plies)
    )


def _layout(game: Game, settings: SearchSettings, num_games: int, max_nodes: int) -> Layout:
    """Shapes and dtypes of the arrays that new_forest allocates empty, by field name."""
    nodes, num_actions = (num_games, max_nodes), game.num_actions
    return {
        "positions": ((*nodes, game.spec.position_size), game.spec.position_dtype),
        "nodes": (nodes, NODE),
        "edges": ((*nodes, num_actions), EDGE),
        "trees": ((num_games,), TREE),
        "budgets": ((NUM_BUDGETS,), np.int32),
        "root_scores": ((num_games, num_actions), np.float64),
        "leaves": ((num_games * settings.leaves_per_round,), LEAF),
        "planes": ((8 * game.planes_size_bytes,), np.uint8),
        "observation": ((game.observation_size_bytes,), np.uint8),
        "legal": ((num_actions,), np.bool_),
        "weights": ((num_actions,), np.float64),
        "node_map": ((max_nodes,), np.int32),
        "moving": ((TOGETHER,), np.int32),
    }
