"""Transitions of DDPG: what is added up, and where the critic's estimate takes over."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.algorithms.ddpg.samples import mixed_rewards, sample_spec, transitions
from ddpzero.algorithms.ddpg.settings import DDPGSettings
from ddpzero.games import load_any_game
from ddpzero.replay.sample import check_columns

GAMMA = 0.5


def episode_columns(is_terminated: bool, **settings):
    """Four steps of two agents; observation t is all t, rewards 1, 2, 4, 8 for both."""
    observations = np.arange(5, dtype=np.float16)[:, None, None].repeat(2, 1).repeat(3, 2)
    return transitions(
        observations=observations,
        legal=np.ones((5, 2, 4), np.bool_),
        choices=np.array([[0, 1], [1, 2], [2, 3], [3, 0]]),
        rewards=np.array([1.0, 2.0, 4.0, 8.0], np.float32)[:, None].repeat(2, 1),
        weights_versions=np.arange(4, dtype=np.int32),
        is_terminated=is_terminated,
        settings=DDPGSettings(gamma=GAMMA, num_steps=2, **settings),
    )


def test_rewards_of_the_steps_are_added_up_with_their_discount():
    columns = episode_columns(is_terminated=False)
    np.testing.assert_allclose(columns["reward"][::2], [1 + 1, 2 + 2, 4 + 4, 8])


def test_when_time_is_up_the_last_position_still_counts():
    columns = episode_columns(is_terminated=False)
    np.testing.assert_allclose(columns["discount"][::2], [0.25, 0.25, 0.25, 0.5])
    np.testing.assert_array_equal(columns["next_observation"][::2, 0], [2, 3, 4, 4])


def test_when_the_rules_end_the_game_nothing_follows():
    columns = episode_columns(is_terminated=True)
    np.testing.assert_allclose(columns["discount"][::2], [0.25, 0.25, 0, 0])


def test_mates_are_all_but_the_agent_itself():
    columns = episode_columns(is_terminated=False, centralized_critic=True)
    np.testing.assert_array_equal(
        columns["mates_choice"][:, 0], columns["choice"][[1, 0, 3, 2, 5, 4, 7, 6]]
    )


@pytest.mark.parametrize("is_centralized", [False, True])
def test_the_spec_names_what_transitions_gives(is_centralized: bool):
    spec = sample_spec(load_any_game("snakes"), DDPGSettings(centralized_critic=is_centralized))
    assert spec.keys() == episode_columns(False, centralized_critic=is_centralized).keys()


def test_rewards_are_shared_in_the_team_and_the_opponents_taken_away():
    settings = DDPGSettings(team_reward_share=0.5, opponent_reward_share=1.0, reward_scale=2.0)
    mixed = mixed_rewards(np.array([[4.0, 0.0]]), np.array([[1.0, 1.0]]), settings)
    np.testing.assert_allclose(mixed, [[2 * (2 + 1 - 1), 2 * (0 + 1 - 1)]])


def test_columns_of_a_real_shape_pass_the_spec_check():
    game = load_any_game("snakes")
    settings = DDPGSettings()
    columns = transitions(
        np.zeros((3, 3, game.spec.num_features), np.float16),
        np.ones((3, 3, 4), np.bool_),
        np.zeros((2, 3), np.int64),
        np.zeros((2, 3), np.float32),
        np.zeros(2, np.int32),
        False,
        settings,
    )
    assert check_columns(sample_spec(game, settings), columns) == 6
