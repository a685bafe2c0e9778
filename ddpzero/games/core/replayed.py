"""Plays the moves of a finished episode again by the rules: what was legal, seen and to move before each of them.

For games that come from a file: nothing about the moves is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.game import Game


class IllegalMoveError(ValueError):
    """The rules do not allow a move. The message is the rest of a sentence about the episode."""


@dataclass(frozen=True)
class ReplayedEpisode:
    """An episode of T moves. legal: `[T, A]` bool, before each move. movers: `[T]`, the player who moved, 0 or 1.

    observations: `[T, observation_size_bytes]` uint8, as samples have them. position: `[P]`, the last one.
    """

    legal: np.ndarray
    movers: np.ndarray
    observations: np.ndarray
    position: np.ndarray


def replay(game: Game, moves: Sequence[int]) -> ReplayedEpisode:
    """Play moves from the initial position. Raises IllegalMoveError for a move that the rules do not allow."""
    num_moves, num_actions = len(moves), game.num_actions
    if num_moves > game.spec.max_plies:
        raise IllegalMoveError(
            f"has {num_moves} moves; {game.name} ends after {game.spec.max_plies}"
        )
    for move in moves:
        # Before it becomes a number of 64 bits, which it may exceed.
        if not 0 <= move < num_actions:
            raise IllegalMoveError(
                f"has move {_short(move)}, which is not one of the {num_actions} actions"
            )
    actions = np.asarray(moves, np.int64)
    position = game.initial_position()
    legal = np.zeros((num_moves, num_actions), np.bool_)
    movers = np.zeros(num_moves, np.int64)
    height, width = game.board_shape
    planes = np.zeros((num_moves, game.num_planes * height * width), np.uint8)
    numbers = np.zeros((num_moves, game.spec.num_globals), np.int8)
    num_played = _replay(game.rules, actions, position, legal, movers, planes, numbers)
    if num_played < num_moves:
        over = "" if legal[num_played].any() else ": the game is over before it"
        raise IllegalMoveError(f"has an illegal move {num_played + 1}{over}")
    packed = np.packbits(planes, axis=1, bitorder="little")
    return ReplayedEpisode(
        legal, movers, np.concatenate([packed, numbers.view(np.uint8)], 1), position
    )


def plies_of(samples: np.ndarray, observations: np.ndarray, first_ply: int) -> np.ndarray:
    """Return the plies `[n]`, ascending, before which the samples `[n, bytes]` of an episode were recorded.

    -1 from the first sample on that none of the remaining plies shows. observations: `[T, bytes]`, of the episode.
    first_ply: from which on there can be samples.
    """
    plies = np.full(len(samples), -1)
    known = [row.tobytes() for row in observations]
    ply = first_ply
    for number, row in enumerate(samples):
        content = row.tobytes()
        while ply < len(known) and known[ply] != content:
            ply += 1
        if ply == len(known):
            break
        plies[number] = ply
        ply += 1
    return plies


def _short(move: int) -> str:
    return str(move) if abs(move) < 2**63 else "a number of more than 64 bits"


@compiled(cache=True)
def _replay(rules, actions, position, legal, movers, planes, numbers):
    """Fill the arrays row by row; return how many moves were legal."""
    contract.initial_position(rules, position)
    for ply in range(len(actions)):
        contract.legal_actions(rules, position, legal[ply])
        if not legal[ply, actions[ply]]:
            return ply
        movers[ply] = contract.current_player(rules, position)
        contract.observe(rules, position, planes[ply])
        contract.observe_globals(rules, position, numbers[ply])
        contract.apply_action(rules, position, actions[ply])
    return len(actions)
