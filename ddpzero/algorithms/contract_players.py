"""Checks of a plugin's player: it has a name and chooses legal actions. Called by contract_checks.py.

Each function yields problems, as the rest of a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ddpzero.algorithms.loader import missing_members
from ddpzero.games import Game, TeamGame
from ddpzero.games.core.players import Player, TeamPlayer
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.games.core.team_lockstep import reset_games


def problems_of_player(player: Any, name: str, game: Game | TeamGame) -> Iterator[str]:
    """Check a player that was made with this name for this game."""
    if missing := missing_members(player, Player if isinstance(game, Game) else TeamPlayer):
        yield f"the player lacks {', '.join(missing)}"
    if player.name != name:
        yield f"its name is {player.name!r}, not the given {name!r}"
    if isinstance(game, Game):
        yield from _problems_of_moves(player, game)
    else:
        yield from _problems_in_teams(player, game)


def _problems_of_moves(player: Any, game: Game) -> Iterator[str]:
    if not isinstance(player.uses_chance, bool):
        yield f"its uses_chance is {player.uses_chance!r}, neither True nor False"
    positions = _positions(game)
    actions = np.asarray(player.choose(positions, np.random.default_rng(0)))
    if actions.shape != (len(positions),) or not np.issubdtype(actions.dtype, np.integer):
        yield f"it chose {actions.dtype}{list(actions.shape)} instead of integers [{len(positions)}]"
    elif not all(
        0 <= a < game.num_actions and game.legal_actions(p)[a]
        for p, a in zip(positions, actions, strict=True)
    ):
        yield "one of its actions is not legal"


def _problems_in_teams(player: Any, game: TeamGame) -> Iterator[str]:
    positions, states = game.new_positions(4), new_random_states(0, 4)
    reset_games(game.rules, positions, states, np.ones(4, np.bool_))
    actions = np.asarray(player.choose(positions, np.array([0, 1, 0, 1]), states))
    shape = (4, game.spec.agents_per_team)
    if actions.shape != shape or not np.issubdtype(actions.dtype, np.integer):
        yield f"it chose {actions.dtype}{list(actions.shape)} instead of integers {list(shape)}"
    elif ((actions < 0) | (actions >= game.spec.num_actions)).any():
        yield f"its actions are not all from 0 to {game.spec.num_actions - 1}"


def _positions(game: Game) -> np.ndarray:
    """Return the initial position and the next positions of an episode of random moves, at most 20 in all."""
    rng, position = np.random.default_rng(0), game.initial_position()
    positions: list[np.ndarray] = []
    while not game.is_terminal(position) and len(positions) < 20:
        positions.append(position)
        position = game.apply_action(position, int(rng.choice(game.possible_actions(position))))
    return np.stack(positions)
