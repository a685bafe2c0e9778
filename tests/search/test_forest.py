"""What holds in every tree of the forest, whatever was searched, and at every moment of a search."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.games import Game
from ddpzero.search import SearchSettings
from ddpzero.search.forest import (
    EVALUATED,
    PENDING,
    ROOT,
    SOLVED,
    TERMINAL,
    UNVISITED,
    Forest,
)
from tests.search.games.random_tree import new_position
from tests.search.harness import Lockstep
from tests.search.test_against_reference import gumbel_settings, puct_settings, random_positions


def check_tree(random_tree: Game, forest: Forest, game: int) -> None:
    for index in range(forest.trees["num_nodes"][game]):
        node, position = forest.nodes[game, index], forest.positions[game, index]
        assert node["mover"] == random_tree.current_player(position)
        assert (node["state"] == TERMINAL) == random_tree.is_terminal(position)
        if index != ROOT:
            parent, action = node["parent"], node["parent_action"]
            assert 0 <= parent < index
            assert forest.edges["child"][game, parent, action] == index
            expected = random_tree.apply_action(forest.positions[game, parent], action)
            np.testing.assert_array_equal(position, expected)
        if node["state"] in (EVALUATED, SOLVED):
            check_edges(random_tree, forest, game, index)


def check_edges(random_tree: Game, forest: Forest, game: int, index: int) -> None:
    node, edges = forest.nodes[game, index], forest.edges[game, index]
    priors, visits, value_sums = edges["prior"], edges["visits"], edges["value_sum"]
    legal = random_tree.legal_actions(forest.positions[game, index])
    np.testing.assert_array_equal(priors > 0, legal)
    assert priors.sum() == pytest.approx(1.0, abs=1e-5)
    assert (visits[~legal] == 0).all() and (visits >= 0).all()
    assert (np.abs(value_sums) <= visits + 1e-4).all()
    assert node["visit_sum"] == visits.sum()
    assert node["value_total"] == pytest.approx(value_sums.sum(), abs=1e-4)
    assert node["visited_prior"] == pytest.approx(priors[visits > 0].sum(), abs=1e-4)
    num_nodes = forest.trees["num_nodes"][game]
    assert all(child == UNVISITED or index < child < num_nodes for child in edges["child"])


@pytest.mark.parametrize("draw_settings", [puct_settings, gumbel_settings])
def test_sums_links_and_positions_agree_at_every_moment(random_tree: Game, draw_settings):
    rng = np.random.default_rng(3)
    for _ in range(8):
        settings = draw_settings(rng)
        lockstep = Lockstep(random_tree, settings, random_positions(rng, 4))
        for _ in range(3):
            while num_leaves := lockstep.propose():
                if rng.random() < 0.1:
                    check_tree(random_tree, lockstep.forest, int(rng.integers(4)))
                lockstep.absorb(num_leaves)
            lockstep.search()
            for game in range(4):
                check_tree(random_tree, lockstep.forest, game)
            root_states = lockstep.forest.nodes["state"][:, ROOT]
            num_finished = lockstep.forest.trees["num_finished"]
            is_spent = num_finished == settings.num_simulations
            assert (is_spent | (root_states == SOLVED)).all()
            is_over = root_states == TERMINAL
            lockstep.play(np.where(is_over, -1, lockstep.visits.argmax(axis=1)))


@pytest.mark.parametrize("draw_settings", [puct_settings, gumbel_settings])
def test_policy_targets_sum_to_one_and_are_zero_for_illegal_actions(
    random_tree: Game, draw_settings
):
    rng = np.random.default_rng(4)
    for _ in range(10):
        lockstep = Lockstep(random_tree, draw_settings(rng), random_positions(rng, 50))
        lockstep.search()
        legal = lockstep.priors > 0
        assert (lockstep.targets[~legal] == 0).all()
        assert (lockstep.targets >= 0).all()
        np.testing.assert_allclose(lockstep.targets.sum(axis=1), 1.0, atol=1e-5)
        assert legal[np.arange(50), lockstep.actions].all()


def test_an_evaluated_child_has_one_visit_less_than_its_edge(random_tree: Game):
    settings = SearchSettings(algorithm="puct", num_simulations=64)
    positions = np.array([new_position(key, end_percent=0, max_plies=30) for key in range(20)])
    lockstep = Lockstep(random_tree, settings, positions)
    lockstep.search()
    forest = lockstep.forest
    for game in range(20):
        for node in forest.nodes[game, 1 : forest.trees["num_nodes"][game]]:
            edge = forest.edges[game, node["parent"], node["parent_action"]]
            assert edge["visits"] == 1 + node["visit_sum"]


def test_the_number_of_nodes_stays_within_the_forest_when_subtrees_are_reused(random_tree: Game):
    """Trees with a single legal action keep everything: the cut-off must work, and dropped nodes be made again."""
    num_simulations = 20
    settings = SearchSettings(
        algorithm="puct", num_simulations=num_simulations, reuse_subtree=True, dirichlet_fraction=0
    )
    positions = np.array(
        [new_position(key, max_plies=1000, legal_percent=1, end_percent=0) for key in range(30)]
    )
    lockstep = Lockstep(random_tree, settings, positions)
    num_nodes = lockstep.forest.trees["num_nodes"]
    was_cut_off = False
    for _ in range(10):
        lockstep.search()
        num_nodes_before = num_nodes.copy()
        lockstep.play(lockstep.visits.argmax(axis=1))
        was_cut_off |= bool((num_nodes_before - num_nodes > 1).any())
        assert num_nodes.max() <= num_simulations + 1
        for game in range(3):
            check_tree(random_tree, lockstep.forest, game)
    assert was_cut_off


def leaves_of_a_round(random_tree: Game, virtual_loss: float) -> list[int]:
    """How many leaves each of 20 games proposes in the round after the root's, with room for 8."""
    settings = SearchSettings(
        algorithm="puct",
        num_simulations=64,
        leaves_per_round=8,
        virtual_loss=virtual_loss,
        dirichlet_fraction=0.0,
    )
    positions = np.array([new_position(key, legal_percent=100, end_percent=0) for key in range(20)])
    lockstep = Lockstep(random_tree, settings, positions)
    lockstep.absorb(lockstep.propose())
    num_leaves = lockstep.propose()
    return np.bincount(lockstep.forest.leaves["slot"][:num_leaves], minlength=20).tolist()


def test_virtual_loss_spreads_the_leaves_of_a_round(random_tree: Game):
    with_loss = leaves_of_a_round(random_tree, virtual_loss=1.0)
    without_loss = leaves_of_a_round(random_tree, virtual_loss=0.0)
    assert sum(with_loss) > 1.5 * sum(without_loss)
    assert all(spread >= plain for spread, plain in zip(with_loss, without_loss, strict=True))


def test_the_leaves_of_a_round_are_different_nodes_that_wait(random_tree: Game):
    settings = SearchSettings(num_simulations=64, leaves_per_round=8)
    positions = np.array([new_position(key, end_percent=0) for key in range(20)])
    lockstep = Lockstep(random_tree, settings, positions)
    while num_leaves := lockstep.propose():
        leaves = lockstep.forest.leaves[:num_leaves]
        assert len(set(leaves.tolist())) == num_leaves
        waiting = lockstep.forest.nodes[leaves["slot"], leaves["node"]]
        assert (waiting["state"] == PENDING).all()
        lockstep.absorb(num_leaves)


def test_a_game_whose_only_leaf_is_under_evaluation_waits(random_tree: Game):
    settings = SearchSettings(num_simulations=8, leaves_per_round=4)
    only_one_move = new_position(0, max_plies=100, legal_percent=0, end_percent=0)
    lockstep = Lockstep(random_tree, settings, only_one_move[None])
    lockstep.search()
    assert lockstep.evaluator.batch_sizes == [1] * 9
    assert lockstep.visits.sum() == 8


def test_leaves_that_end_the_game_take_no_place_in_a_batch(random_tree: Game):
    settings = SearchSettings(num_simulations=16, solve=False)
    positions = np.array([new_position(key, max_plies=1) for key in range(20)])
    lockstep = Lockstep(random_tree, settings, positions)
    lockstep.search()
    assert lockstep.evaluator.batch_sizes == [20]  # the roots
    np.testing.assert_array_equal(lockstep.visits.sum(axis=1), 16)
