"""The number of simulations per move during a run: what the learner sends, and how running searches take it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddpzero.algorithms.alphazero.curriculum import Curriculum, CurriculumSettings
from ddpzero.algorithms.alphazero.lockstep import LockstepGames
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings
from ddpzero.algorithms.alphazero.simulations import SIMULATIONS, Simulations
from ddpzero.algorithms.alphazero.updater import AlphaZeroUpdater
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.search import SearchSettings
from ddpzero.search.cache import new_cache
from ddpzero.search.forest import ROOT
from ddpzero.settings import LearnerSettings

NETWORK = NetworkSettings(blocks=1, channels=8)


def test_the_number_grows_linearly_to_its_final_value():
    growing = Simulations(first=32, final=128)
    assert [growing.at(32, fraction) for fraction in (0.0, 0.25, 0.5, 1.0)] == [32, 56, 80, 128]
    assert growing.most(32) == 128


def test_a_board_with_its_own_number_grows_by_the_same_factor():
    growing = Simulations(first=32, final=128)
    assert [growing.at(8, fraction) for fraction in (0.0, 0.5, 1.0)] == [8, 20, 32]
    assert growing.most(8) == 32


def test_without_a_final_number_it_never_changes():
    constant = Simulations(first=32, final=None)
    assert [constant.at(32, fraction) for fraction in (0.0, 0.5, 1.0)] == [32, 32, 32]
    assert Simulations(first=0, final=64).at(0, 1.0) == 0


def test_effort_scales_the_number_and_trees_have_room_for_the_largest():
    growing = Simulations(first=32, final=64, max_effort=1.5)
    assert growing.at(32, 0.0, effort=1.5) == 48
    assert growing.at(32, 1.0, effort=1.5) == growing.most(32) == 96
    assert growing.at(32, 0.0, effort=0.25) == 8
    assert growing.at(32, 0.0, effort=1e-9) == 1


def test_the_learner_sends_the_number_with_the_weights():
    game = load_game("tic_tac_toe")
    updater = AlphaZeroUpdater(
        Curriculum(CurriculumSettings(), game, num_simulations=20),
        make_network(game, NETWORK, LossSettings().auxiliary(game)),
        lambda module: module,
        AlphaZeroSettings(final_num_simulations=40),
        LossSettings(),
        LearnerSettings(batch_size=8, precision="float32"),
        torch.device("cpu"),
        seed=0,
    )
    assert updater.actor_weights()[SIMULATIONS].tolist() == [20]
    updater.set_self_play(fraction_done=0.5, effort=1.0)
    assert updater.actor_weights()[SIMULATIONS].tolist() == [30]


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
def test_a_new_number_applies_to_the_next_move_and_disturbs_no_running_search(algorithm):
    games = LockstepGames(
        load_game("tic_tac_toe"),
        SearchSettings(algorithm=algorithm, num_simulations=40, solve=False),
        AlphaZeroSettings(random_action_fraction=0.0),
        auxiliary=(),
        cache=new_cache(load_game("tic_tac_toe"), 0.0),
        slot=0,
        num_games=3,
    )
    games.batch.set_num_simulations(16)
    for slot in range(3):
        games.start_game(slot)
    visits = [visits_of_move(games, change_after=5, change_to=40)]
    visits += [visits_of_move(games, change_after=7, change_to=10) for _ in range(2)]
    assert visits == [16, 40, 10]
    with pytest.raises(ValueError, match="41 simulations are above 40"):
        games.batch.set_num_simulations(41)


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
def test_fast_searches_make_few_simulations_and_give_no_policy_target(algorithm):
    games = LockstepGames(
        load_game("tic_tac_toe"),
        SearchSettings(algorithm=algorithm, num_simulations=40, solve=False),
        AlphaZeroSettings(full_search_fraction=1e-12, fast_simulations=5),
        auxiliary=(),
        cache=new_cache(load_game("tic_tac_toe"), 0.0),
        slot=0,
        num_games=3,
    )
    for slot in range(3):
        games.start_game(slot)
    assert [visits_of_move(games, change_after=9, change_to=40) for _ in range(3)] == [5, 5, 5]
    assert not games.buffers.policy_targets[0, :3].any()
    if algorithm == "puct":
        # Root noise would have changed the even priors.
        priors = games.forest.edges["prior"][0, ROOT]
        np.testing.assert_allclose(priors[priors > 0], 1 / (priors > 0).sum(), rtol=1e-6)
    games.set_num_simulations(3)
    visits_of_move(games, change_after=99, change_to=40)
    assert visits_of_move(games, change_after=99, change_to=40) == 3


def visits_of_move(games: LockstepGames, change_after: int, change_to: int) -> int:
    """The visits of the first root before its move. The number changes after some rounds of that search."""
    num_leaves = len(games.forest.leaves)
    observations = np.zeros((num_leaves, games.game.observation_size_bytes), np.uint8)
    ply, most, rounds = games.buffers.num_plies[0], 0, 0
    while True:
        games.propose(observations, weights_version=0)
        if games.buffers.num_plies[0] > ply:
            return most
        answers = np.tile(np.array([0.3, 0.4, 0.3, 0.0], np.float32), (games.num_leaves, 1))
        logits = np.zeros((games.num_leaves, games.game.num_actions), np.float32)
        games.absorb(observations, logits, answers)
        most = int(games.forest.nodes["visit_sum"][0, ROOT])
        rounds += 1
        if rounds == change_after:
            games.batch.set_num_simulations(change_to)
