"""Exhaustive search near the end of a game, against plain minimax."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest

from ddpzero.evaluators.uniform import UniformEvaluator
from ddpzero.games import Game, load_game
from ddpzero.games.core.compiled import compiled
from ddpzero.judges.packaged import find_positions
from ddpzero.judges.solved_positions import read_solved_positions
from ddpzero.search import Search, SearchSettings
from ddpzero.search.config import SearchConfig, search_config
from ddpzero.search.endgame import forget_proofs, prove_endgame
from ddpzero.search.forest import PENDING, ROOT, SOLVED, Forest, new_forest
from ddpzero.search.rounds import start_searches
from tests.search.harness import (
    FunctionEvaluator,
    Lockstep,
    evaluate_with_points,
)

GAMES = {
    "dots_and_boxes": {"rows": 2, "columns": 2},
    "othello": {"size": 4},
    "hex": {"size": 3},
    "tic_tac_toe": {},
}
GAME_NAMES = pytest.mark.parametrize("name", GAMES)


def test_values_and_points_are_those_of_perfect_play_however_long_the_lines_may_be():
    rng = np.random.default_rng(1)
    for name, parameters in GAMES.items():
        game = load_game(name, **parameters)
        positions, lines = late_positions(game, rng, 30, max_left=6)
        for weight in (0.0, 0.3) if game.has_score else (0.0,):
            for endgame_plies in (2, 4, 6):
                settings = SearchSettings(score_weight=weight, endgame_plies=endgame_plies)
                forest, config, is_proven = prove_all(game, settings, positions)
                is_short = lines <= endgame_plies
                assert is_proven[is_short].all()
                assert is_short.any()
                perfect = PerfectPlay(game, config)
                for index in np.flatnonzero(is_proven):
                    node, known = forest.nodes[index, ROOT], perfect.known(positions[index])
                    assert node["value"] == known.value
                    assert weight == 0 or node["points"] == known.points


def test_passes_do_not_count_as_plies():
    game = load_game("othello", size=4)
    rng = np.random.default_rng(2)
    positions, have_passes = [], []
    for _ in range(100):
        line, passes = [game.initial_position()], []
        while not game.is_terminal(line[-1]):
            action = int(rng.choice(np.flatnonzero(game.legal_actions(line[-1]))))
            passes.append(game.spec.action_cells[action] < 0)
            line.append(game.apply_action(line[-1], action))
        num_empty = [int(np.sum(game.board(position) == 0)) for position in line]
        first = next((ply for ply, number in enumerate(num_empty) if number <= 6), len(line))
        if first < len(line) - 1:
            positions.append(line[first])
            have_passes.append(any(passes[first:]))
    _, _, is_proven = prove_all(game, SearchSettings(endgame_plies=6), np.array(positions))
    assert is_proven.all()
    assert 10 <= sum(have_passes) <= len(positions) - 10


@GAME_NAMES
def test_a_position_with_longer_lines_is_left_as_it_was(name: str):
    game = load_game(name, **GAMES[name])
    forest, _, is_proven = prove_all(
        game, SearchSettings(endgame_plies=2), game.initial_position()[None]
    )
    assert not is_proven[0]
    assert forest.nodes["state"][0, ROOT] == PENDING


def test_a_position_that_would_take_too_long_is_given_up_once():
    game = load_game("dots_and_boxes", rows=3, columns=3)
    settings = SearchSettings(endgame_plies=24, endgame_positions=1000)
    positions = np.repeat(game.initial_position()[None], 3, axis=0)
    forest, config, is_proven = prove_all(game, settings, positions)
    assert not is_proven.any()
    assert counts_of(forest) == (1, 0, 1000)
    assert forest.endgame is not None
    forget_proofs(forest.endgame)
    prove_roots(game.rules, forest, config, is_proven)
    assert counts_of(forest) == (2, 0, 2000)


def test_a_proof_finds_in_the_table_what_earlier_ones_met():
    game = load_game("connect_four")
    position = game.initial_position()
    for action in map(int, "4444443333335555511111"):
        position = game.apply_action(position, action)
    children = [
        game.apply_action(position, int(a)) for a in np.flatnonzero(game.legal_actions(position))
    ]
    settings = SearchSettings(endgame_plies=20)
    forest, _, is_proven = prove_all(game, settings, np.array([position]))
    num_met = counts_of(forest)[2]
    again, _, _ = prove_all(game, settings, np.array([position, position, *children]))
    assert is_proven.all()
    assert counts_of(again)[2] < 2 * num_met


def test_a_search_does_not_depend_on_earlier_ones():
    game = load_game("connect_four")
    solved = read_solved_positions(find_positions("connect_four_hard"))
    # So few positions that what the table still has decides which proofs are given up.
    settings = SearchSettings(num_simulations=16, endgame_plies=24, endgame_positions=300)
    search = Search(game, settings, num_games=40)
    evaluator = UniformEvaluator(game, search.max_batch)
    first, _, again = (
        search.run(solved.positions[rows], evaluator)
        for rows in (slice(40), slice(40, 80), slice(40))
    )
    assert np.array_equal(first.visits, again.visits)
    assert np.array_equal(first.root_value, again.root_value)


def test_proofs_agree_with_a_solver_of_connect_four():
    solved = read_solved_positions(find_positions("connect_four_hard"))
    settings = SearchSettings(endgame_plies=20, endgame_positions=20_000)
    forest, _, is_proven = prove_all(solved.game, settings, solved.positions)
    values = forest.nodes["value"][is_proven, ROOT]
    assert is_proven.sum() > 30
    assert np.array_equal(values, np.sign(solved.scores.max(axis=1))[is_proven])


def counts_of(forest: Forest) -> tuple[int, int, int]:
    """Searches, proofs, and positions that they met."""
    assert forest.endgame is not None
    searches, proofs, met = map(int, forest.endgame.counts)
    return searches, proofs, met


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
def test_a_root_is_proven_once_all_its_actions_that_lead_near_the_end_were_tried(algorithm: str):
    game = load_game("dots_and_boxes", rows=2, columns=2)
    rng = np.random.default_rng(2)
    positions, lines = late_positions(game, rng, 60, max_left=9)
    settings = SearchSettings(
        algorithm=algorithm, num_simulations=40, score_weight=0.5, endgame_plies=5
    )
    search = Search(game, settings, len(positions))
    evaluator = FunctionEvaluator(game, search.max_batch, evaluate_with_points)
    result = search.run(positions, evaluator)
    is_solved = search.forest.nodes["state"][:, ROOT] == SOLVED
    assert 10 < is_solved.sum() < 60
    if algorithm == "gumbel":  # tries every action first; PUCT those that its priors like
        assert is_solved[lines <= 6].all()
        assert result.visits[lines <= 6].sum(axis=1).max() <= 6
    perfect = PerfectPlay(game, search_config(settings, game))
    for index in np.flatnonzero(is_solved):
        value = perfect.known(positions[index]).value
        assert search.forest.nodes["value"][index, ROOT] == value
        for action in (result.actions[index], *np.flatnonzero(result.policy_target[index])):
            assert perfect.after(positions[index], int(action)).value == value


@pytest.mark.parametrize("leaves_per_round", [1, 4])
def test_games_go_on_below_proven_positions(leaves_per_round: int):
    """With subtrees kept, a proven position becomes the root of the next search, which has no edges there."""
    game = load_game("dots_and_boxes", rows=2, columns=2)
    settings = SearchSettings(
        algorithm="puct",
        num_simulations=60,
        endgame_plies=6,
        reuse_subtree=True,
        leaves_per_round=leaves_per_round,
    )
    positions = np.repeat(game.initial_position()[None], 8, axis=0)
    lockstep = Lockstep(game, settings, positions, evaluate_with_points, seed=3)
    for ply in range(game.spec.max_plies):
        lockstep.search(ply)
        for index, position in enumerate(lockstep.forest.positions[:, ROOT]):
            if lockstep.actions[index] >= 0:
                assert game.legal_actions(position)[lockstep.actions[index]]
        played = [
            game.apply_action(position, int(action)) if action >= 0 else position
            for position, action in zip(
                lockstep.forest.positions[:, ROOT].copy(), lockstep.actions, strict=True
            )
        ]
        if any(game.is_terminal(position) for position in played):
            break
        lockstep.play(lockstep.actions)
        assert np.array_equal(lockstep.forest.positions[:, ROOT], played)


def late_positions(
    game: Game, rng: np.random.Generator, num_positions: int, max_left: int
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of random games, and how many plies without passes the longest line from each has: 1 to max_left."""
    perfect = PerfectPlay(game, search_config(SearchSettings(), game))
    positions, lines = [], []
    while len(positions) < num_positions:
        line = [game.initial_position()]
        while not game.is_terminal(line[-1]):
            legal = np.flatnonzero(game.legal_actions(line[-1]))
            line.append(game.apply_action(line[-1], int(rng.choice(legal))))
        left = int(rng.integers(1, max_left + 1))
        if left < len(line) and perfect.known(line[-1 - left]).longest <= max_left:
            positions.append(line[-1 - left])
            lines.append(perfect.known(line[-1 - left]).longest)
    return np.array(positions), np.array(lines)


class Known(NamedTuple):
    """What perfect play brings the mover, as a node has it, and the longest line: its plies without passes."""

    value: float
    points: float
    longest: int


class PerfectPlay:
    """Plain minimax that remembers what it has met."""

    def __init__(self, game: Game, config: SearchConfig):
        self.game = game
        self.config = config
        self.memory: dict[bytes, Known] = {}

    def known(self, position: np.ndarray) -> Known:
        key = position.tobytes()
        if key not in self.memory:
            self.memory[key] = self.find(position)
        return self.memory[key]

    def find(self, position: np.ndarray) -> Known:
        if self.game.is_terminal(position):
            return self.result(position)
        best, longest = Known(-2.0, 0.0, 0), 0
        for action in np.flatnonzero(self.game.legal_actions(position)):
            brought = self.after(position, int(action))
            longest = max(longest, int(not self.is_pass(action)) + brought.longest)
            if brought.value > best.value:
                best = brought
        return best._replace(longest=longest)

    def after(self, position: np.ndarray, action: int) -> Known:
        """What an action brings the mover of `position`."""
        child = self.game.apply_action(position, action)
        known = self.known(child)
        if self.game.current_player(child) == self.game.current_player(position):
            return known
        return Known(-known.value, -known.points, known.longest)

    def is_pass(self, action: int) -> bool:
        cells = self.game.spec.action_cells
        return cells is not None and cells[action] < 0

    def result(self, position: np.ndarray) -> Known:
        mover = self.game.current_player(position)
        value, points = float(self.game.returns(position)[mover]), 0.0
        weight = self.config.score_weight
        if weight > 0:
            score = self.game.score(position) * (1 if mover == 0 else -1)
            points = float(np.float32(math.tanh(score / self.config.score_scale)))
            value = float(np.float32((1 - weight) * value + weight * points))
        return Known(value, points, 0)


def prove_all(
    game: Game, settings: SearchSettings, positions: np.ndarray
) -> tuple[Forest, SearchConfig, np.ndarray]:
    """A forest with `positions` as roots, each proven where it can be: `[n]` bool says which."""
    forest = new_forest(game, settings, len(positions), max_nodes=1, seed=0)
    config = search_config(settings, game)
    start_searches(game.rules, forest, positions)
    is_proven = np.zeros(len(positions), np.bool_)
    prove_roots(game.rules, forest, config, is_proven)
    return forest, config, is_proven


@compiled(cache=True)
def prove_roots(rules, forest, config, is_proven):
    for game in range(is_proven.shape[0]):
        is_proven[game] = prove_endgame(rules, forest, config, game, ROOT)
