"""Facts about forced wins: what the search finds within a few plies is what plain recursion finds."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from ddpzero.evaluators.uniform import UniformEvaluator
from ddpzero.games import Game, load_game
from ddpzero.games.core.compiled import compiled
from ddpzero.search import Search, SearchSettings
from ddpzero.search.config import search_config
from ddpzero.search.forced_wins import find_forced_win
from ddpzero.search.forest import ROOT, SOLVED, new_forest
from ddpzero.search.rounds import start_searches


def random_positions(game: Game, number: int, seed: int = 0) -> np.ndarray:
    """Positions of random play that are not terminal, from all parts of the game."""
    rng = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    while len(found) < number:
        position = game.initial_position()
        line = []
        while not game.is_terminal(position):
            line.append(position)
            action = rng.choice(np.flatnonzero(game.legal_actions(position)))
            position = game.apply_action(position, int(action))
        found += line[-8:]
    return np.stack(found[:number])


def results_of(game: Game, positions: np.ndarray, plies: int, limit: int = 50_000) -> list[int]:
    """For each position 1, 0 or -1: the mover can force a win; unknown; the mover cannot avoid a loss."""
    settings = SearchSettings(forced_win_plies=plies, endgame_positions=limit)
    forest = new_forest(game, settings, len(positions), max_nodes=1, seed=0)
    start_searches(game.rules, forest, positions)
    is_found = np.zeros(len(positions), np.bool_)
    find_at_roots(game.rules, forest, search_config(settings, game), is_found)
    values = forest.nodes["value"][:, ROOT]
    return [int(value) if found else 0 for value, found in zip(values, is_found, strict=True)]


@compiled(cache=True)
def find_at_roots(rules, forest, config, is_found):
    for game in range(is_found.shape[0]):
        is_found[game] = find_forced_win(rules, forest, config, game, ROOT)


def expected_result(game: Game, position: np.ndarray, plies: int) -> int:
    """The same by plain recursion."""
    if game.is_terminal(position):
        value = game.returns(position)[game.current_player(position)]
        return int(value) if abs(value) == 1 else 0
    if plies == 0:
        return 0
    mover, results = game.current_player(position), []
    for action in np.flatnonzero(game.legal_actions(position)):
        after = game.apply_action(position, int(action))
        result = expected_result(game, after, plies - 1)
        results.append(result if game.current_player(after) == mover else -result)
    return max(results)


@pytest.mark.parametrize("plies", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["connect_four", "dots_and_boxes"])
def test_results_are_those_of_plain_recursion(name, plies):
    game = small(name)
    positions = random_positions(game, 60)
    expected = [expected_result(game, position, plies) for position in positions]
    assert results_of(game, positions, plies) == expected
    assert len(set(expected)) > 1


@cache
def small(name: str) -> Game:
    sizes = {"connect_four": {}, "dots_and_boxes": {"rows": 2, "columns": 2}}
    return load_game(name, **sizes[name])


def test_a_search_of_too_many_positions_is_given_up():
    game = small("connect_four")
    positions = random_positions(game, 60)
    assert set(results_of(game, positions, 4, limit=5)) <= {0, 1}
    assert results_of(game, positions, 4, limit=1) == [0] * len(positions)


def test_a_win_in_three_plies_is_found_without_an_evaluation():
    game = small("connect_four")
    position = game.initial_position()
    # Two in the middle of the lowest row, with both sides open: the first player wins with column 2 or 5.
    for action in (3, 3, 4, 4):
        position = game.apply_action(position, action)
    settings = SearchSettings(num_simulations=16, forced_win_plies=2)
    search = Search(game, settings, num_games=1)
    result = search.run(position[None], UniformEvaluator(game, search.max_batch))
    assert search.forest.nodes["state"][0, ROOT] == SOLVED
    assert result.root_value[0] == 1.0
    assert result.actions[0] in (2, 5)
    assert set(np.flatnonzero(result.policy_target[0])) <= {2, 5}
    searched, found, met = map(int, search.forest.forced_wins.counts)
    assert 1 <= found <= searched <= 16 and searched <= met


def test_replies_that_cannot_matter_are_not_searched():
    game = load_game("gomoku", size=9)
    position = game.initial_position()
    # Three in a row with both sides open; the replies lie apart. All lines of three plies would be 400,000 positions.
    for name in ("d8", "a1", "e8", "c1", "f8", "e1"):
        position = game.apply_action(position, game.parse_action(name))
    assert results_of(game, position[None], 3, limit=20_000) == [1]


@pytest.mark.parametrize("plies", [1, 2, 3])
def test_a_found_result_counts_with_the_score_of_its_line(plies):
    game = small("dots_and_boxes")
    settings = SearchSettings(forced_win_plies=plies, score_weight=0.5, score_scale=4.0)
    positions = random_positions(game, 60)
    forest = new_forest(game, settings, len(positions), max_nodes=1, seed=0)
    start_searches(game.rules, forest, positions)
    is_found = np.zeros(len(positions), np.bool_)
    find_at_roots(game.rules, forest, search_config(settings, game), is_found)
    results = [expected_result(game, position, plies) for position in positions]
    assert is_found.tolist() == [result != 0 for result in results]
    roots = forest.nodes[:, ROOT]
    for position, result, root, found in zip(positions, results, roots, is_found, strict=True):
        if found:
            assert root["value"] == pytest.approx(0.5 * result + 0.5 * root["points"])
            reachable = points_of_lines(
                game, position, plies, result, game.current_player(position)
            )
            assert min(abs(root["points"] - p) for p in reachable) < 1e-6
            assert np.sign(root["points"]) == result


def points_of_lines(game: Game, position, plies: int, result: int, player: int) -> list[float]:
    """The points of all ends within so many plies that have this result for the player."""
    if game.is_terminal(position):
        score = game.score(position) * (1 if player == 0 else -1)
        return [float(np.tanh(score / 4.0))] if game.returns(position)[player] == result else []
    if plies == 0:
        return []
    afters = [
        game.apply_action(position, int(a)) for a in np.flatnonzero(game.legal_actions(position))
    ]
    return [p for after in afters for p in points_of_lines(game, after, plies - 1, result, player)]


def test_being_wiped_out_is_seen_in_a_game_with_score():
    game = load_game("othello")
    position = game.initial_position()
    # The shortest of all games: the last move takes white's last disc.
    moves = ["e6", "f4", "e3", "f6", "g5", "d6", "e7", "f5"]
    for name in moves:
        position = game.apply_action(position, game.parse_action(name))
    assert not game.is_terminal(position)
    settings = SearchSettings(num_simulations=8, forced_win_plies=1, score_weight=0.2)
    result = Search(game, settings, num_games=1).run(position[None], UniformEvaluator(game, 8))
    assert game.action_name(int(result.actions[0])) == "c5"
    assert result.root_value[0] > 0.95
