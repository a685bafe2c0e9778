"""Parameters that are read at run time: games that differ in them alone share all compiled code."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.games import Game, TeamGame, load_any_game
from ddpzero.games.core import single, team_lockstep
from ddpzero.games.core.random_bits import new_random_states

CHANGES = {
    "connect_four": {"line": 3},
    "go": {"size": 5, "komi": -2.5, "handicap": 0, "max_plies": 9},
    "gomoku": {"size": 9, "line": 4, "exact_five": True},
    "hex": {"size": 4, "swap": True},
    "snakes": {"rows": 6, "columns": 8, "snakes": 4, "steps": 7},
}
SHAPES = {"size", "rows", "columns", "snakes"}


@pytest.mark.parametrize("name", CHANGES)
def test_another_value_compiles_nothing(name):
    shape = {key: value for key, value in CHANGES[name].items() if key in SHAPES}
    begin(load_any_game(name, **shape))
    before = num_compiled()
    other = load_any_game(name, **CHANGES[name])
    begin(other)
    assert num_compiled() == before
    assert other.rules.values != load_any_game(name, **shape).rules.values


def begin(game: Game | TeamGame) -> None:
    if isinstance(game, TeamGame):
        random_states = new_random_states(0, 1)
        team_lockstep.reset_games(
            game.rules, game.new_positions(1), random_states, np.ones(1, np.bool_)
        )
        return
    position = game.apply_action(game.initial_position(), 0)
    game.observation(position)
    game.is_terminal(position)


def num_compiled() -> int:
    functions = (
        *(single.initial_position, single.legal_actions, single.apply_action),
        *(single.observe, single.is_terminal, team_lockstep.reset_games),
    )
    return sum(len(function.signatures) for function in functions)
