"""Facts about how a finished game becomes training rows."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.algorithms.alphazero.samples import (
    episode_of,
    lambda_returns,
    outcomes_of,
    relative,
    sample_spec,
)
from ddpzero.algorithms.alphazero.selfplay import EpisodeBuffers, new_episode_buffers
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.games import load_game
from ddpzero.replay.sample import check_columns, check_values


def buffers_of_game(
    num_plies: int, first_player_return: float, num_random_plies: int = 0
) -> EpisodeBuffers:
    """A Connect Four game in slot 0 whose search said 0.1 x ply, with 0.01 x ply for a draw, at every ply."""
    buffers = new_episode_buffers(load_game("connect_four"), num_games=1)
    buffers.num_plies[0] = num_plies
    buffers.returns[0] = (first_player_return, -first_player_return)
    plies = np.arange(num_plies)
    buffers.movers[0, :num_plies] = plies % 2
    buffers.is_sample[0, :num_plies] = plies >= num_random_plies
    buffers.is_decided[0, :num_plies] = False
    buffers.root_values[0, :num_plies] = 0.1 * plies
    buffers.root_draws[0, :num_plies] = 0.01 * plies
    buffers.policy_targets[0, :num_plies] = 1 / 7
    return buffers


def test_the_result_counts_for_each_mover():
    values, draws = outcomes_of(buffers_of_game(4, -1.0), 0, np.arange(4))
    assert values.tolist() == [-1, 1, -1, 1]
    assert draws.tolist() == [0, 0, 0, 0]


def test_a_draw_is_a_draw():
    values, draws = outcomes_of(buffers_of_game(3, 0.0), 0, np.arange(3))
    assert values.tolist() == [0, 0, 0]
    assert draws.tolist() == [1, 1, 1]


def test_what_was_searched_at_a_decided_ply_stands_for_the_result_of_it_and_the_plies_before():
    buffers = buffers_of_game(8, 1.0)
    buffers.is_decided[0, [3, 5]] = True
    values, draws = outcomes_of(buffers, 0, np.arange(8))
    # Plies 0 to 3 get the value at 3, turned for the mover of even plies; 4 and 5 that at 5; 6 and 7 the result.
    np.testing.assert_allclose(values, [-0.3, 0.3, -0.3, 0.3, -0.5, 0.5, 1, -1], rtol=1e-6)
    np.testing.assert_allclose(draws, [0.03] * 4 + [0.05] * 2 + [0, 0], rtol=1e-6)


def test_a_player_who_moves_again_sees_the_value_with_the_same_sign():
    buffers = buffers_of_game(4, 1.0)
    buffers.movers[0, :4] = [1, 0, 0, 1]
    buffers.is_decided[0, 2] = True
    values, _ = outcomes_of(buffers, 0, np.arange(4))
    np.testing.assert_allclose(values, [-0.2, 0.2, 0.2, -1.0], rtol=1e-6)


def test_the_lambda_return_weighs_the_values_of_the_next_plies_and_the_result():
    values, draws = lambda_returns(buffers_of_game(4, 1.0), 0, np.arange(4), 0.5)
    # From the end: half the own value, and half of the next mover's return turned round; then the loss of ply 3.
    np.testing.assert_allclose(values, [0.04375, -0.0875, 0.275, -0.35], rtol=1e-5)
    np.testing.assert_allclose(draws, [0.006875, 0.01375, 0.0175, 0.015], rtol=1e-5)


def test_the_lambda_return_turns_values_by_the_player_not_by_the_ply():
    buffers = buffers_of_game(4, 1.0)
    buffers.movers[0, :4] = [0, 1, 1, 0]
    values, _ = lambda_returns(buffers, 0, np.arange(4), 0.5)
    np.testing.assert_allclose(values, [0.03125, -0.0625, -0.225, 0.65], rtol=1e-5)


def test_the_lambda_return_looks_no_further_than_a_decided_ply():
    buffers = buffers_of_game(4, 1.0)
    buffers.is_decided[0, 2] = True
    values, draws = lambda_returns(buffers, 0, np.arange(4), 0.5)
    np.testing.assert_allclose(values, [0.025, -0.05, 0.2, -0.35], rtol=1e-5)
    np.testing.assert_allclose(draws[:3], [0.0075, 0.015, 0.02], rtol=1e-5)


def test_the_lambda_return_counts_plies_that_are_no_samples():
    every_ply, _ = lambda_returns(buffers_of_game(6, 1.0), 0, np.arange(1, 6), 0.5)
    some, _ = lambda_returns(buffers_of_game(6, 1.0), 0, np.array([1, 4]), 0.5)
    assert some.tolist() == every_ply[[0, 3]].tolist()


def test_the_lambda_return_is_between_the_root_value_and_the_outcome():
    buffers = buffers_of_game(9, -1.0, num_random_plies=2)
    # Nothing was searched there.
    buffers.root_values[0, :2] = np.nan
    buffers.is_decided[0, 5] = True
    rows = np.arange(2, 9)
    np.testing.assert_allclose(lambda_returns(buffers, 0, rows, 0.0)[0], 0.1 * rows, rtol=1e-5)
    for of_lambda, of_outcome in zip(
        lambda_returns(buffers, 0, rows, 1.0), outcomes_of(buffers, 0, rows), strict=True
    ):
        np.testing.assert_allclose(of_lambda, of_outcome, rtol=1e-5)
    assert lambda_returns(buffers, 0, rows[:0], 0.5)[0].shape == (0,)


def test_surprises_have_the_mean_one_in_every_episode():
    assert relative(np.array([0.0, 1.0, 5.0, 2.0])).tolist() == [0.0, 0.5, 2.5, 1.0]
    assert relative(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]
    assert relative(np.zeros(0)).tolist() == []


def test_optional_targets_are_columns_of_the_episode_as_the_spec_says():
    game = load_game("connect_four")
    settings = AlphaZeroSettings(
        value_lambda=0.5, short_value_lambdas=(0.0, 0.5, 1.0), surprise_weight=0.5
    )
    buffers = buffers_of_game(4, 1.0)
    buffers.weights_versions[0, :4] = 1
    buffers.surprises[0, :4] = [0.0, 0.1, 0.2, 0.1]
    columns = episode_of(buffers, 0, ("short_value",), settings=settings).columns
    spec = sample_spec(game, ("short_value",), settings=settings)
    check_columns(spec, columns)
    check_values(spec, columns)
    np.testing.assert_allclose(columns["surprise"], [0.0, 1.0, 2.0, 1.0], rtol=1e-5)
    np.testing.assert_allclose(columns["short_value"][:, 0], columns["root_value"], rtol=1e-5)
    np.testing.assert_allclose(columns["short_value"][:, 1], columns["lambda_value"], rtol=1e-5)
    np.testing.assert_allclose(columns["short_value"][:, 2], columns["outcome"], rtol=1e-5)
    np.testing.assert_allclose(columns["short_draw"][:, 2], columns["outcome_draw"], rtol=1e-5)


def test_an_episode_has_the_rows_of_searched_plies_as_the_spec_says():
    game = load_game("connect_four")
    buffers = buffers_of_game(9, 1.0, num_random_plies=2)
    buffers.observations[0, :9] = np.arange(9)[:, None]
    buffers.weights_versions[0, :9] = 7
    episode = episode_of(buffers, 0)
    spec = sample_spec(game)
    assert set(episode.columns) == set(spec)
    for name, field in spec.items():
        assert episode.columns[name].shape == (7, *field.shape), name
        assert episode.columns[name].dtype == field.dtype, name
    assert episode.columns["observation"][:, 0].tolist() == list(range(2, 9))
    assert episode.columns["root_value"] == pytest.approx(0.1 * np.arange(2, 9))
    assert episode.info["num_plies"] == 9
    assert len(episode.info["moves"]) == 9


def test_score_and_owners_are_seen_by_each_mover():
    game = load_game("dots_and_boxes", rows=1, columns=2)
    buffers = new_episode_buffers(game, num_games=1)
    buffers.num_plies[0] = 3
    buffers.movers[0, :3] = [0, 1, 1]
    buffers.is_sample[0, :3] = True
    buffers.is_decided[0, :3] = False
    buffers.policy_targets[0, :3] = np.eye(3, 7)
    buffers.is_played_out[0], buffers.scores[0], buffers.owners[0] = True, 2, [1, -1]
    auxiliary = ("score", "ownership", "next_policy")
    columns = episode_of(buffers, 0, auxiliary).columns
    for name, field in sample_spec(game, auxiliary).items():
        assert columns[name].shape == (3, *field.shape), name
        assert columns[name].dtype == field.dtype, name
    assert columns["score"].tolist() == [2, -2, -2]
    assert columns["ownership"].tolist() == [[1, -1], [-1, 1], [-1, 1]]
    assert columns["is_played_out"].all()
    assert columns["next_policy_target"].argmax(1).tolist()[:2] == [1, 2]
    assert not columns["next_policy_target"][2].any(), "there is no next move"


def test_what_was_searched_at_a_decided_ply_stands_for_the_score_of_it_and_the_plies_before():
    game = load_game("dots_and_boxes", rows=1, columns=2)
    buffers = new_episode_buffers(game, num_games=1)
    buffers.num_plies[0] = 4
    buffers.movers[0, :4] = [0, 1, 1, 0]
    buffers.is_sample[0, :4] = True
    buffers.is_decided[0, :4] = [False, True, False, False]
    buffers.policy_targets[0, :4] = np.eye(4, 7)
    buffers.root_scores[0, :4] = [0.5, 1.5, -0.5, 2.0]
    buffers.is_played_out[0], buffers.scores[0] = True, -2
    columns = episode_of(buffers, 0, ("score",), searches_score=True).columns
    assert set(columns) == set(sample_spec(game, ("score",), searches_score=True))
    # Ply 1 is decided, with 1.5 points for the second player; after it the game's end counts.
    assert columns["score"].tolist() == [-1.5, 1.5, 2.0, -2.0]
    assert columns["root_score"].tolist() == [0.5, 1.5, -0.5, 2.0]


def test_a_game_that_was_cut_short_by_a_proof_has_no_score():
    buffers = buffers_of_game(4, 1.0)
    buffers.is_played_out[0] = False
    assert episode_of(buffers, 0).info["score"] is None
