"""Facts about games that play themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ddpzero.algorithms.alphazero.lockstep import LockstepGames
from ddpzero.algorithms.alphazero.samples import sample_spec
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.games import Game, load_game
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.replay import Episode
from ddpzero.replay.sample import check_values
from ddpzero.search import SearchSettings
from ddpzero.search.cache import new_cache
from ddpzero.search.settings import _LEAST, _MOST


def play(
    num_episodes: int,
    num_simulations: int = 64,
    search: SearchSettings | None = None,
    auxiliary: tuple[str, ...] = (),
    earlier_moves: Sequence[int] = (),
    **settings: float,
) -> list[Episode]:
    """Tic-tac-toe games with an evaluator that knows nothing."""
    game = load_game("tic_tac_toe")
    search = search or SearchSettings(num_simulations=num_simulations)
    cache = new_cache(game, 0.0)
    games = LockstepGames(
        game, search, AlphaZeroSettings(**settings), auxiliary, cache, 0, num_episodes
    )
    games.forest.random_states[:] = new_random_states(5, num_episodes)
    for place in range(num_episodes):
        games.start_game(place, np.array(earlier_moves, np.int32))
    observations = np.zeros((len(games.forest.leaves), game.observation_size_bytes), np.uint8)
    episodes: list[Episode] = []
    while len(episodes) < num_episodes:
        games.propose(observations, weights_version=1)
        episodes += games.take_finished()
        logits = np.zeros((games.num_leaves, game.num_actions), np.float32)
        outcomes = np.tile(np.array([0.3, 0.4, 0.3, 0.0], np.float32), (games.num_leaves, 1))
        games.absorb(observations, logits, outcomes)
    return episodes


def last_position(game: Game, episode: Episode) -> np.ndarray:
    position = game.initial_position()
    for action in episode.info["moves"]:
        position = game.apply_action(position, action)
    return position


def minimax(game: Game, position: np.ndarray) -> float:
    """The first player's value under perfect play."""
    if game.is_terminal(position):
        return float(game.returns(position)[0])
    values = [
        minimax(game, game.apply_action(position, int(action)))
        for action in np.flatnonzero(game.legal_actions(position))
    ]
    return max(values) if game.current_player(position) == 0 else min(values)


def test_games_that_play_out_end_by_the_rules():
    game = load_game("tic_tac_toe")
    for episode in play(40):
        position = last_position(game, episode)
        assert game.is_terminal(position)
        assert episode.info["first_player_return"] == game.returns(position)[0]


def test_games_that_do_not_play_out_end_with_the_result_that_is_proven():
    game = load_game("tic_tac_toe")
    episodes = play(40, play_out_fraction=0.0)
    positions = [last_position(game, episode) for episode in episodes]
    for position, episode in zip(positions, episodes, strict=True):
        assert episode.info["first_player_return"] == minimax(game, position)
    assert sum(not game.is_terminal(position) for position in positions) > 20


def test_the_share_of_games_that_play_out_is_as_asked():
    game = load_game("tic_tac_toe")
    episodes = play(400, num_simulations=200, play_out_fraction=0.5)
    shares = [game.is_terminal(last_position(game, episode)) for episode in episodes]
    assert 0.4 < np.mean(shares) < 0.75


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_outcomes_are_those_of_the_movers(fraction: float):
    for episode in play(40, play_out_fraction=fraction, random_action_fraction=0.0):
        # Without random moves nothing contradicts a proof: all rows agree with the end of the game.
        first = episode.info["first_player_return"]
        proven = np.abs(episode.columns["outcome"]) == abs(first)
        assert proven.all()


def test_the_share_of_moves_with_a_policy_target_is_as_asked():
    search = SearchSettings(num_simulations=32, solve=False)
    episodes = play(200, search=search, full_search_fraction=0.25, fast_simulations=4)
    sums = np.concatenate([episode.columns["policy_target"].sum(1) for episode in episodes])
    has_target = sums > 0.5
    assert 0.2 < has_target.mean() < 0.3
    np.testing.assert_allclose(sums[has_target], 1.0, atol=5e-3)
    assert not sums[~has_target].any()
    spec = sample_spec(load_game("tic_tac_toe"))
    for episode in episodes[:20]:
        check_values(spec, episode.columns)


def test_a_fast_search_that_proves_the_outcome_gives_a_policy_target():
    """The proven best actions, whatever the number of simulations was."""
    game = load_game("tic_tac_toe")
    episodes = play(12, num_simulations=8, full_search_fraction=1e-12, fast_simulations=8)
    num_proven = 0
    for episode in episodes:
        position = game.initial_position()
        for row, action in enumerate(episode.info["moves"]):
            targets = np.flatnonzero(episode.columns["policy_target"][row])
            best = minimax(game, position) if len(targets) else 0.0
            for target in targets:
                num_proven += 1
                assert minimax(game, game.apply_action(position, int(target))) == best
            position = game.apply_action(position, action)
    assert num_proven > 10


def test_random_moves_are_as_many_as_asked():
    episodes = play(300, random_action_fraction=1.0, opening_random_plies=0)
    firsts = np.array([episode.info["moves"][0] for episode in episodes])
    counts = np.bincount(firsts, minlength=9)
    assert (counts > 10).all()


def test_openings_are_no_samples():
    episodes = play(60, opening_random_plies=3)
    skipped = [episode.info["num_plies"] - episode.num_samples for episode in episodes]
    assert set(skipped) == {0, 1, 2, 3}


def test_openings_that_no_game_is_long_enough_for_become_shorter():
    """Within a second, not in an endless loop of compiled code."""
    episodes = play(20, opening_random_plies=1000)
    assert all(episode.info["num_plies"] <= 9 for episode in episodes)
    assert any(episode.num_samples < episode.info["num_plies"] for episode in episodes)


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
def test_a_search_with_any_allowed_number_has_finite_policies_and_legal_actions(algorithm):
    game = load_game("tic_tac_toe")
    tiny = dict.fromkeys((*_MOST, "dirichlet_fraction", "score_weight"), 5e-324)
    for limits in ({}, _LEAST, _MOST, tiny | _LEAST, dict.fromkeys(_MOST, 0.0) | _LEAST):
        for name, value in limits.items():
            search = SearchSettings(
                algorithm=algorithm, num_simulations=20, leaves_per_round=4, **{name: value}
            )
            for episode in play(4, search=search):
                last_position(game, episode)  # ValueError for an illegal action
                assert np.isfinite(episode.columns["policy_target"]).all(), name
                assert np.isfinite(episode.columns["root_value"]).all(), name


def test_the_surprise_of_a_move_is_the_divergence_of_its_target_from_the_prior():
    """On equal priors: log(legal actions) minus the target's entropy, relative to its mean in the episode."""
    episodes = play(20, auxiliary=("next_policy",), surprise_weight=0.5, value_lambda=0.5)
    game = load_game("tic_tac_toe")
    for episode in episodes:
        position, divergences = game.initial_position(), []
        targets = episode.columns["policy_target"].astype(np.float64)
        for action, target in zip(episode.info["moves"], targets, strict=True):
            entropy = -(target * np.log(np.maximum(target, 1e-12))).sum()
            divergences.append(np.log(game.legal_actions(position).sum()) - entropy)
            position = game.apply_action(position, action)
        expected = np.array(divergences) / np.mean(divergences)
        # Samples have float16 policies.
        np.testing.assert_allclose(episode.columns["surprise"], expected, atol=0.02)
        following = episode.columns["next_policy_target"]
        np.testing.assert_array_equal(following[:-1], episode.columns["policy_target"][1:])
        assert not following[-1].any()
