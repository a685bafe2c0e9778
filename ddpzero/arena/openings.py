"""Random openings for matches, so that deterministic players do not repeat the same game hundreds of times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.arena.players import RandomPlayer
from ddpzero.games import Game
from ddpzero.system.errors import UserError, require

# An opening has at most this share of max_plies, because random moves must not decide the game. After one
# random ply of tic-tac-toe perfect play still draws; after two it may not.
_MAX_SHARE_OF_GAME = 1 / 8
_MAX_PLIES = 8
# Random sequences tried per opening, to find enough different positions.
_TRIES_PER_OPENING = 8


@dataclass(frozen=True)
class Openings:
    """positions: `[num_openings, P]`, none of them terminal, each after num_plies uniformly random plies."""

    positions: np.ndarray
    num_plies: int


def random_openings(
    game: Game, num_openings: int, rng: np.random.Generator, num_plies: int | None = None
) -> Openings:
    """Sample openings, all different if the game has enough of them.

    num_plies: None for the fewest, from two on, that give enough different positions. Where even the
    most that is allowed gives fewer, each comes about equally often.
    """
    if num_plies is None:
        most = int(np.clip(game.spec.max_plies * _MAX_SHARE_OF_GAME, 1, _MAX_PLIES))
        choices = range(min(2, most), most + 1)
    else:
        require(
            num_plies < game.spec.max_plies,
            f"opening_plies={num_plies}: random games of {game.name} are over before that: choose fewer.",
        )
        choices = range(num_plies, num_plies + 1)
    for plies in choices:
        positions = _distinct_positions(game, num_openings, plies, rng)
        if len(positions) == num_openings:
            break
    return Openings(positions[np.arange(num_openings) % len(positions)], plies)


def _distinct_positions(
    game: Game, max_positions: int, num_plies: int, rng: np.random.Generator
) -> np.ndarray:
    """Up to max_positions different positions, in random order."""
    player = RandomPlayer(game)
    positions = game.new_positions(max_positions * _TRIES_PER_OPENING if num_plies else 1)
    for _ in range(num_plies):
        actions = player.choose(positions, rng)
        positions = np.stack(
            [
                game.apply_action(position, int(action))
                for position, action in zip(positions, actions, strict=True)
            ]
        )
        positions = positions[[not game.is_terminal(position) for position in positions]]
        if not len(positions):
            raise UserError(
                f"opening_plies={num_plies}: random games of {game.name} are over before that: "
                "choose fewer."
            )
    # np.unique sorts: the order of first appearance keeps them random.
    _, first_rows = np.unique(positions, axis=0, return_index=True)
    return positions[np.sort(first_rows)[:max_positions]]
