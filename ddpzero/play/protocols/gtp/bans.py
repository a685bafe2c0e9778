"""Moves that a search leaves out: as commands ask, and the pass that nobody answers. See Engine.ban."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddpzero.games import Game
from ddpzero.play.protocols.gtp.lines import Refused
from ddpzero.play.protocols.gtp.options import Restriction
from ddpzero.play.protocols.gtp.table import Turn

# Of avoid and allow: no line of a search is as long.
_MOST_PLIES = 256


def bans_of(game: Game, restrictions: Sequence[Restriction]) -> np.ndarray | None:
    """Return the actions to leave out, `[D, 2, A]` bool; None: none of them."""
    if not restrictions:
        return None
    depth = min(max(restriction.depth for restriction in restrictions), _MOST_PLIES)
    avoided = np.zeros((depth, 2, game.num_actions), np.bool_)
    allowed = np.zeros_like(avoided)
    for restriction in restrictions:
        masks = allowed if restriction.is_allowed else avoided
        masks[: restriction.depth, restriction.player, list(restriction.actions)] = True
    has_allowed = allowed.any(axis=2, keepdims=True)
    return avoided | (has_allowed & ~allowed)


def without_pointless(
    game: Game, turn: Turn, position: np.ndarray, bans: np.ndarray | None
) -> np.ndarray | None:
    """Return bans `[D, 2, A]` that leave out what is pointless at a turn, too. position: `[P]`, that of the turn.

    Raises Refused if nothing else is left.
    """
    if turn.pointless is None:
        return bans
    bans = np.zeros((1, 2, game.num_actions), np.bool_) if bans is None else bans.copy()
    first = bans[0, turn.player]
    first[turn.pointless] = True
    if first[game.possible_actions(position)].all():
        raise Refused("a pass out of turn means nothing, and no other move is left")
    return bans
