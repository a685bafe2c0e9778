"""The draw share that players show is the search's, and agrees with its value."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.evaluators.uniform import UniformEvaluator
from ddpzero.games import Game, load_game
from ddpzero.search import Search, SearchSettings


class Drawish(UniformEvaluator):
    """Knows nothing, and takes every position for a draw with this probability."""

    def __init__(self, game: Game, max_batch: int, draw_share: float):
        super().__init__(game, max_batch)
        self._draw_share = draw_share

    def collect(self, slot: int):
        logits, outcomes = super().collect(slot)
        outcomes = outcomes.copy()
        outcomes[:, 1] = self._draw_share
        outcomes[:, 0] = outcomes[:, 2] = (1 - self._draw_share) / 2
        return logits, outcomes


def search(algorithm: str, num_simulations: int, moves: str, draw_share: float, **settings):
    game = load_game("tic_tac_toe")
    position = game.initial_position()
    for move in moves.split():
        position = game.apply_action(position, game.parse_action(move))
    searched = Search(
        game,
        SearchSettings(algorithm=algorithm, num_simulations=num_simulations, **settings),
        num_games=2,
    )
    evaluator = Drawish(game, searched.max_batch, draw_share)
    return searched.run(np.stack([position, position]), evaluator)


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
def test_without_a_search_it_is_the_networks(algorithm):
    result = search(algorithm, 0, "", 0.25)
    assert result.root_draw == pytest.approx([0.25, 0.25])


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
def test_where_all_evaluations_agree_it_is_theirs(algorithm):
    result = search(algorithm, 16, "", 0.25)
    assert result.root_draw == pytest.approx([0.25, 0.25], abs=1e-6)


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
def test_a_proven_win_is_no_draw_whatever_the_network_says(algorithm):
    result = search(algorithm, 64, "a1 a3 b1 b3", 1.0)
    assert result.root_value.tolist() == [1, 1]
    assert result.root_draw.tolist() == [0, 0]


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
def test_a_proven_draw_is_one_whatever_the_network_says(algorithm):
    result = search(algorithm, 200, "b2 a1 c2 a2 a3 c1 b1 b3", 0.0)
    assert result.root_value.tolist() == [0, 0]
    assert result.root_draw.tolist() == [1, 1]


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
def test_ends_that_the_search_sees_count_without_a_proof(algorithm):
    """Nearly all lines from here end decided before the board is full, or drawn: the network knew of no draws."""
    few, many = (
        search(algorithm, num_simulations, "b2 a1 c2 a2 a3", 0.0, solve=False).root_draw[0]
        for num_simulations in (1, 400)
    )
    assert few < 0.2 < many


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
@pytest.mark.parametrize("num_simulations", [1, 7, 50])
def test_it_never_contradicts_the_value(algorithm, num_simulations):
    for moves in ("", "b2", "a1 b2 c1", "b2 a1 c2 a2"):
        result = search(algorithm, num_simulations, moves, 0.9)
        assert (result.root_draw >= 0).all()
        assert (result.root_draw <= 1 - np.abs(result.root_value) + 1e-6).all()
