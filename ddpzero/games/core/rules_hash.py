"""A hash of what a game's rules do, by which two machines know that they play the same game.

It covers legal actions, players to move, observations and results in some games of arbitrary moves, not the code:
another version with the same rules has the same hash.
"""

from __future__ import annotations

import hashlib

import numpy as np

from ddpzero.games.core.game import Game

_NUM_GAMES = 8


def rules_hash(game: Game) -> str:
    """Return the hash, 64 hexadecimal digits."""
    digest = hashlib.sha256(f"{game.board_shape} {game.num_actions} {game.num_inputs}".encode())
    for number in range(_NUM_GAMES):
        position = game.initial_position()
        ply = 0
        while not game.is_terminal(position) and ply < game.spec.max_plies:
            legal = game.legal_actions(position)
            digest.update(np.packbits(legal).tobytes())
            digest.update(bytes([game.current_player(position)]))
            digest.update(game.packed_observation(position).tobytes())
            actions = np.flatnonzero(legal)
            # Not a library's random numbers: they may change with its version.
            choice = hashlib.sha256(f"{number} {ply}".encode()).digest()
            position = game.apply_action(
                position, int(actions[int.from_bytes(choice[:4], "little") % len(actions)])
            )
            ply += 1
        digest.update(game.returns(position).astype("<f4").tobytes())
        if game.has_score:
            digest.update(str(game.score(position)).encode())
    return digest.hexdigest()
