"""Facts about proven values in the search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ddpzero.games import Game
from ddpzero.search import Search, SearchSettings
from ddpzero.search.forest import ROOT, SOLVED
from tests.search.games.random_tree import new_position
from tests.search.harness import FunctionEvaluator, Lockstep
from tests.search.test_against_reference import gumbel_settings, puct_settings, random_positions
from tests.search.test_search import position_of

ALGORITHMS = pytest.mark.parametrize("algorithm", ["puct", "gumbel"])


def minimax(game: Game, position: np.ndarray) -> float:
    """The value for the mover under perfect play."""
    mover = game.current_player(position)
    if game.is_terminal(position):
        return float(game.returns(position)[mover])
    values = []
    for action in np.flatnonzero(game.legal_actions(position)):
        child = game.apply_action(position, int(action))
        value = minimax(game, child)
        values.append(value if game.current_player(child) == mover else -value)
    return max(values)


@pytest.mark.parametrize("draw_settings", [puct_settings, gumbel_settings])
def test_every_proven_value_is_that_of_perfect_play(random_tree: Game, draw_settings):
    rng = np.random.default_rng(5)
    num_proven = 0
    for _ in range(12):
        settings = replace(draw_settings(rng), solve=True, num_simulations=100)
        positions = [
            new_position(
                int(rng.integers(1 << 62)), max_plies=int(rng.integers(2, 6)), legal_percent=30
            )
            for _ in range(20)
        ]
        lockstep = Lockstep(random_tree, settings, np.array(positions))
        for _ in range(2):
            lockstep.search()
            forest = lockstep.forest
            for game in range(len(positions)):
                nodes = forest.nodes[game, : forest.trees["num_nodes"][game]]
                for index in np.flatnonzero(nodes["state"] == SOLVED):
                    expected = minimax(random_tree, forest.positions[game, index])
                    assert nodes["value"][index] == expected
                    num_proven += 1
            is_over = forest.nodes["state"][:, ROOT] == SOLVED
            lockstep.play(np.where(is_over, -1, lockstep.actions))
    assert num_proven > 500


@ALGORITHMS
def test_a_solved_root_s_move_target_and_value_are_those_of_perfect_play(
    random_tree: Game, algorithm: str
):
    settings = SearchSettings(algorithm=algorithm, num_simulations=400)
    positions = np.array([new_position(key, max_plies=3, legal_percent=30) for key in range(300)])
    search = Search(random_tree, settings, num_games=300)
    result = search.run(positions, FunctionEvaluator(random_tree, search.max_batch))
    is_solved = search.forest.nodes["state"][:, ROOT] == SOLVED
    assert is_solved.sum() > 50
    for index in np.flatnonzero(is_solved):
        position = positions[index]
        value = minimax(random_tree, position)
        assert result.root_value[index] == value
        for action in (result.actions[index], *np.flatnonzero(result.policy_target[index])):
            child = random_tree.apply_action(position, int(action))
            child_value = minimax(random_tree, child)
            is_same_mover = random_tree.current_player(child) == 0
            assert (child_value if is_same_mover else -child_value) == value


@ALGORITHMS
def test_a_search_ends_when_its_root_is_proven(algorithm: str, tic_tac_toe: Game):
    position = position_of(tic_tac_toe, "XX. OO. ...")
    settings = SearchSettings(algorithm=algorithm, num_simulations=1000)
    search = Search(tic_tac_toe, settings, num_games=1)
    result = search.run(position[None], FunctionEvaluator(tic_tac_toe, search.max_batch, even))
    assert result.root_value[0] == 1.0
    assert result.visits.sum() <= 9


@ALGORITHMS
def test_without_solve_the_budget_is_spent(algorithm: str, tic_tac_toe: Game):
    position = position_of(tic_tac_toe, "XX. OO. ...")
    settings = SearchSettings(algorithm=algorithm, num_simulations=100, solve=False)
    search = Search(tic_tac_toe, settings, num_games=1)
    result = search.run(position[None], FunctionEvaluator(tic_tac_toe, search.max_batch, even))
    assert result.visits.sum() == 100
    assert result.root_value[0] < 1.0


@ALGORITHMS
def test_a_move_that_is_proven_to_lose_is_not_played(algorithm: str, tic_tac_toe: Game):
    """O threatens the left column; whatever the prior says, only X's answer there does not lose."""
    position = position_of(tic_tac_toe, "OX. O.X ...")
    for favorite in np.flatnonzero(tic_tac_toe.legal_actions(position)):
        logits = np.zeros(9, np.float32)
        logits[favorite] = 3.0
        settings = SearchSettings(algorithm=algorithm, num_simulations=200)
        search = Search(tic_tac_toe, settings, num_games=1)
        evaluator = FunctionEvaluator(
            tic_tac_toe, search.max_batch, lambda _, logits=logits: (logits, (0.3, 0.4, 0.3))
        )
        action = int(search.run(position[None], evaluator).actions[0])
        child = tic_tac_toe.apply_action(position, action)
        assert minimax(tic_tac_toe, child) <= 0


def even(_: bytes) -> tuple[list[float], tuple[float, float, float]]:
    return [0.0] * 9, (0.25, 0.5, 0.25)


def test_the_random_positions_of_the_reference_tests_are_often_solved(random_tree: Game):
    """Else the comparison with the reference would say little about proofs."""
    rng = np.random.default_rng(7)
    settings = SearchSettings(algorithm="puct", num_simulations=40)
    search = Search(random_tree, settings, num_games=200)
    search.run(random_positions(rng, 200), FunctionEvaluator(random_tree, search.max_batch))
    share = (search.forest.nodes["state"][:, ROOT] == SOLVED).mean()
    assert 0.1 < share < 0.9
