"""Facts about the players that need no training."""

from __future__ import annotations

import numpy as np

from ddpzero.arena.players import RandomPlayer, RolloutPlayer
from ddpzero.games import load_game


def test_random_player_plays_every_legal_action_and_no_other():
    game = load_game("tic_tac_toe")
    position = game.apply_action(game.initial_position(), 4)
    positions = np.repeat(position[None], 500, axis=0)
    actions = RandomPlayer(game).choose(positions, np.random.default_rng(0))
    assert set(actions.tolist()) == {0, 1, 2, 3, 5, 6, 7, 8}


def test_rollout_player_answers_each_position_of_a_batch():
    game = load_game("connect_four")
    threat = game.initial_position()
    for action in (0, 1, 0, 1, 0, 1):
        threat = game.apply_action(threat, action)
    positions = np.stack([threat, game.apply_action(threat, 6)])
    actions = RolloutPlayer(game, 200).choose(positions, np.random.default_rng(0))
    # The first player wins with column a; without it, the second wins with column b.
    assert actions.tolist() == [0, 1]


def test_analysis_is_from_the_movers_side_and_sums_to_one():
    game = load_game("connect_four")
    won = game.initial_position()
    for action in (0, 1, 0, 1, 0, 1):
        won = game.apply_action(won, action)
    analysis = RolloutPlayer(game, 500).analyze(won[None], np.random.default_rng(0))
    np.testing.assert_allclose(analysis.policy.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(analysis.wdl.sum(axis=1), 1, atol=1e-6)
    assert analysis.actions.tolist() == [0]
    assert analysis.policy[0].argmax() == 0
    assert analysis.value[0] > 0.9


def test_a_players_name_is_what_one_types():
    game = load_game("tic_tac_toe")
    assert RandomPlayer(game).name == "random"
    assert RolloutPlayer(game, 50).name == "rollout:50"
