"""Counts the sequences of plies and the positions of a game: small numbers that a wrong rule hardly ever keeps.

Used by the tests; other programs publish the same counts. Letters: A actions, P entries of a position, n positions.
"""

from __future__ import annotations

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled, copy_row


def perft(game: Game, depth: int) -> list[int]:
    """Count the sequences of exactly 1, 2 .. `depth` plies from the start.

    A game that ended earlier does not count; one that ends with the last ply does.
    """
    counts = np.zeros(depth + 1, dtype=np.int64)
    _count_sequences(
        game.rules,
        game.new_positions(depth + 1),
        np.zeros((depth + 1, game.num_actions), dtype=np.bool_),
        np.zeros(depth + 1, dtype=np.int64),
        counts,
    )
    return counts.tolist()[1:]


def unique_positions(game: Game, depth: int) -> list[int]:
    """Count the different positions after exactly 0, 1 .. `depth` plies."""
    positions = game.new_positions(1)
    # Rows as single entries of bytes: numpy sorts those several times as fast as rows of numbers.
    row_type = np.dtype((np.void, positions.itemsize * positions.shape[1]))
    counts = [1]
    for _ in range(depth):
        successors = np.empty(
            (len(positions) * game.num_actions, game.spec.position_size),
            dtype=game.spec.position_dtype,
        )
        num_successors = _expand(
            game.rules, positions, np.zeros(game.num_actions, dtype=np.bool_), successors
        )
        unique_rows = np.unique(successors[:num_successors].view(row_type))
        positions = unique_rows.view(positions.dtype).reshape(-1, positions.shape[1])
        counts.append(len(positions))
    return counts


@compiled(cache=True)
def _count_sequences(rules, positions, legal, next_action, counts):
    """Walk all sequences depth first and fill counts `[depth + 1]`: how many have that many plies.

    positions: `[depth + 1, P]`, the start first. legal `[depth + 1, A]` and next_action `[depth + 1]`, zeroed, are
    the stack: what may be played after each ply of the sequence, and where the walk is.
    """
    num_actions, depth = legal.shape[1], positions.shape[0] - 1
    counts[0] = 1
    contract.legal_actions(rules, positions[0], legal[0])
    ply = 0
    while ply >= 0:
        action = next_action[ply]
        if ply == depth or action == num_actions:
            ply -= 1
            continue
        next_action[ply] += 1
        if not legal[ply, action]:
            continue
        contract.copy_position(rules, positions[ply], positions[ply + 1])
        contract.apply_action(rules, positions[ply + 1], action)
        ply += 1
        counts[ply] += 1
        next_action[ply] = 0
        contract.legal_actions(rules, positions[ply], legal[ply])


@compiled(cache=True)
def _expand(rules, positions, legal, successors):
    """Write all successors of `positions` `[n, P]` into `successors` `[n * A, P]`; returns their number."""
    num_successors = 0
    for index in range(positions.shape[0]):
        contract.legal_actions(rules, positions[index], legal)
        for action in range(legal.shape[0]):
            if legal[action]:
                copy_row(positions[index], successors[num_successors])
                contract.apply_action(rules, successors[num_successors], action)
                num_successors += 1
    return num_successors
