"""Episodes are played again exactly as the game's own functions play them; what is not by the rules is named."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.games import load_game
from ddpzero.games.core.replayed import IllegalMoveError, replay

GAMES = [
    ("tic_tac_toe", {}),
    ("connect_four", {}),
    ("dots_and_boxes", {"rows": 2, "columns": 2}),
    ("go", {"size": 5}),
    ("othello", {}),
    ("hex", {"size": 4}),
]


def random_moves(game, seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    position, moves = game.initial_position(), []
    while not game.is_terminal(position):
        moves.append(int(rng.choice(game.possible_actions(position))))
        position = game.apply_action(position, moves[-1])
    return moves


@pytest.mark.parametrize(("name", "parameters"), GAMES)
def test_a_replay_is_what_the_game_says_at_each_ply(name, parameters):
    game = load_game(name, **parameters)
    for seed in range(3):
        moves = random_moves(game, seed)
        episode = replay(game, moves)
        position = game.initial_position()
        for ply, move in enumerate(moves):
            np.testing.assert_array_equal(episode.legal[ply], game.legal_actions(position))
            np.testing.assert_array_equal(
                episode.observations[ply], game.packed_observation(position)
            )
            assert episode.movers[ply] == game.current_player(position)
            position = game.apply_action(position, move)
        np.testing.assert_array_equal(episode.position, position)


def test_what_the_rules_do_not_allow_is_named():
    game = load_game("tic_tac_toe")
    won = [0, 3, 1, 4, 2]
    assert len(replay(game, []).legal) == 0
    assert game.is_terminal(replay(game, won).position)
    for moves, problem in [
        ([0, 0], "has an illegal move 2"),
        ([*won, 5], "has an illegal move 6: the game is over before it"),
        ([0, 9], "has move 9, which is not one of the 9 actions"),
        ([-1], "has move -1, which"),
        ([0] * 10, "has 10 moves; tic_tac_toe ends after 9"),
    ]:
        with pytest.raises(IllegalMoveError, match=problem):
            replay(game, moves)


@pytest.mark.parametrize("move", [-1, 9, 2**63 - 1, 2**63, 10**30, -(10**30)])
def test_a_move_of_any_size_is_refused(move):
    with pytest.raises(IllegalMoveError, match="is not one of the 9 actions"):
        replay(load_game("tic_tac_toe"), [0, move])
