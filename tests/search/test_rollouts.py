"""Facts about plain rollout MCTS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddpzero.games import Game, load_game
from ddpzero.judges.packaged import POSITIONS_FOLDER
from ddpzero.search.rollouts import search_by_rollouts

EXTRA_TURNS = str(Path(__file__).with_name("extra_turns.py"))


def play(game: Game, names: str) -> np.ndarray:
    position = game.initial_position()
    for name in names.split():
        position = game.apply_action(position, game.parse_action(name))
    return position


def choose(game: Game, position: np.ndarray, num_simulations: int, seed: int = 0) -> str:
    result = search_by_rollouts(game, position[None], num_simulations, seed)
    return game.action_name(result.actions[0])


def solve(game: Game, position: np.ndarray) -> float:
    """The game's exact value for the player to move, by minimax over the game's own Python methods."""
    player = game.current_player(position)
    values = []
    for action in np.flatnonzero(game.legal_actions(position)):
        successor = game.apply_action(position, int(action))
        if game.is_terminal(successor):
            values.append(float(game.returns(successor)[player]))
        else:
            value = solve(game, successor)
            values.append(value if game.current_player(successor) == player else -value)
    return max(values)


def test_takes_a_win_in_one():
    game = load_game("connect_four")
    position = play(game, "a b a b a b")
    assert {choose(game, position, 50, seed) for seed in range(20)} == {"a"}


def test_blocks_a_loss_in_one():
    game = load_game("connect_four")
    position = play(game, "a b a b a")
    assert {choose(game, position, 500, seed) for seed in range(20)} == {"a"}


def test_a_win_that_ends_the_game_is_played_even_when_each_action_was_tried_once():
    game = load_game("gomoku", size=9)
    position = play(game, "a1 a9 b1 b9 c1 c9 d1 d9")
    num_legal = int(game.legal_actions(position).sum())
    assert {choose(game, position, num_legal, seed) for seed in range(20)} == {"e1"}


def test_visits_and_outcomes_add_up_to_the_simulations():
    game = load_game("tic_tac_toe")
    result = search_by_rollouts(game, game.new_positions(5), 321, seed=3)
    assert (result.visits.sum(axis=1) == 321).all()
    assert (result.wdl_counts.sum(axis=1) == 321).all()
    np.testing.assert_array_equal(result.actions, result.visits.argmax(axis=1))


def test_no_illegal_action_is_visited():
    game = load_game("tic_tac_toe")
    position = play(game, "b2 a1 c3")
    visits = search_by_rollouts(game, position[None], 200, seed=0).visits[0]
    assert (visits > 0).tolist() == game.legal_actions(position).tolist()


def test_a_tree_that_is_exhausted_goes_on_counting_exact_results():
    game = load_game("tic_tac_toe")
    # One empty cell is left, and it draws.
    position = play(game, "a1 a2 a3 b2 b1 c1 b3 c3")
    np.testing.assert_array_equal(game.legal_actions(position).sum(), 1)
    result = search_by_rollouts(game, position[None], 100, seed=0)
    assert result.wdl_counts[0].tolist() == [0, 100, 0]


def test_outcomes_are_the_movers():
    game = load_game("connect_four")
    second_player_wins = play(game, "a b a b a b g")
    wins, _, losses = search_by_rollouts(game, second_player_wins[None], 1000, seed=0).wdl_counts[0]
    assert game.current_player(second_player_wins) == 1
    assert wins > 900 > losses


def test_many_simulations_find_perfect_play_in_a_game_with_extra_turns():
    game = load_game("extra_turns", source=EXTRA_TURNS)
    for stones in range(1, 13):
        for player in (0, 1):
            position = np.array([stones, player, 0], dtype=np.int8)
            action = int(search_by_rollouts(game, position[None], 20_000, seed=1).actions[0])
            successor = game.apply_action(position, action)
            if game.is_terminal(successor):
                value = game.returns(successor)[player]
            else:
                same_player = game.current_player(successor) == player
                value = solve(game, successor) * (1 if same_player else -1)
            assert value == solve(game, position), (stones, player)


def test_same_seed_same_result_whatever_the_threads_and_the_other_positions():
    game = load_game("connect_four")
    positions = np.stack([play(game, moves) for moves in ("", "a", "d d", "d d d", "g c d")])
    one = search_by_rollouts(game, positions, 300, seed=7)
    three = search_by_rollouts(game, positions, 300, seed=7, num_threads=3)
    first_two = search_by_rollouts(game, positions[:2], 300, seed=7)
    np.testing.assert_array_equal(one.visits, three.visits)
    np.testing.assert_array_equal(one.visits[:2], first_two.visits)
    other_seed = search_by_rollouts(game, positions, 300, seed=8)
    assert (one.visits != other_seed.visits).any()


def test_an_empty_batch_is_fine():
    game = load_game("tic_tac_toe")
    assert len(search_by_rollouts(game, game.new_positions(0), 10, seed=0).actions) == 0


@pytest.mark.parametrize(("num_simulations", "share"), [(200, 0.53), (1000, 0.63)])
def test_keeps_the_outcome_of_hard_connect_four_positions_as_often_as_the_standard(
    num_simulations, share
):
    # The standard: 50 % with 200 simulations, 60 % with 1,000 (ddpzero/judges/positions).
    game = load_game("connect_four")
    data = np.load(POSITIONS_FOLDER / "connect_four_hard.npz", allow_pickle=False)
    positions = []
    for moves, length in zip(data["moves"], data["lengths"], strict=True):
        position = game.initial_position()
        for action in moves[:length]:
            position = game.apply_action(position, int(action))
        positions.append(position)
    actions = search_by_rollouts(game, np.stack(positions), num_simulations, seed=0).actions
    chosen = np.take_along_axis(data["scores"], actions[:, None].astype(np.int64), axis=1)[:, 0]
    kept = np.sign(chosen) == np.sign(data["value"])
    assert kept.mean() == pytest.approx(share, abs=0.06)


def test_what_is_no_position_to_search_is_refused():
    game = load_game("tic_tac_toe")
    with pytest.raises(ValueError, match="positions of tic_tac_toe are"):
        search_by_rollouts(game, game.new_positions(1).astype(np.int32), 10, seed=0)
    over = game.initial_position()
    for action in (0, 3, 1, 4, 2):
        over = game.apply_action(over, action)
    with pytest.raises(ValueError, match="position 0 is terminal"):
        search_by_rollouts(game, over[None], 10, seed=0)
    with pytest.raises(ValueError, match="num_simulations=0 must be at least 1"):
        search_by_rollouts(game, game.new_positions(1), 0, seed=0)
