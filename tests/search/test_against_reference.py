"""The compiled search and the slow reference find the same, on thousands of random trees."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from ddpzero.games import Game, load_game
from ddpzero.search import Search, SearchSettings
from tests.search.games.random_tree import new_position
from tests.search.harness import (
    Evaluation,
    FunctionEvaluator,
    Lockstep,
    evaluate_by_hash,
    evaluate_with_points,
)
from tests.search.reference import ReferenceSearch

# Rounding differs between the two programs; where less than this decides, they may choose differently.
TOO_CLOSE_TO_CALL = 3e-6


def random_positions(rng: np.random.Generator, num_positions: int) -> np.ndarray:
    """Roots of trees that are narrow or wide, short or long, with few or many extra turns."""
    return np.array(
        [
            new_position(
                key=int(rng.integers(1 << 63)),
                max_plies=int(rng.integers(2, 12)),
                legal_percent=int(rng.integers(1, 101)),
                end_percent=int(rng.integers(0, 50)),
                extra_turn_percent=int(rng.choice([0, 30, 60, 100])),
                key_bits=int(rng.choice([6, 63])),
            )
            for _ in range(num_positions)
        ]
    )


def puct_settings(rng: np.random.Generator) -> SearchSettings:
    return SearchSettings(
        algorithm="puct",
        num_simulations=int(rng.integers(1, 65)),
        solve=bool(rng.integers(2)),
        c_puct=float(rng.uniform(0.3, 4.0)),
        c_puct_base=float(rng.choice([20.0, 19652.0])),
        first_play_reduction=float(rng.choice([0.0, 0.2, 0.5])),
        dirichlet_alpha=float(rng.uniform(0.1, 2.0)),
        dirichlet_fraction=float(rng.choice([0.0, 0.25])),
        temperature=0.0,
        reuse_subtree=bool(rng.integers(2)),
        leaves_per_round=int(rng.choice([1, 1, 2, 5])),
        virtual_loss=float(rng.choice([0.0, 0.5, 1.0])),
    )


def gumbel_settings(rng: np.random.Generator) -> SearchSettings:
    return SearchSettings(
        algorithm="gumbel",
        num_simulations=int(rng.integers(1, 65)),
        solve=bool(rng.integers(2)),
        max_considered_actions=int(rng.choice([1, 2, 3, 4, 7, 8, 16])),
        gumbel_scale=float(rng.choice([0.0, 1.0, 0.4])),
        value_scale=float(rng.choice([0.02, 0.1, 1.0])),
        max_visit_offset=float(rng.choice([1.0, 50.0])),
        leaves_per_round=int(rng.choice([1, 1, 2, 5])),
        virtual_loss=float(rng.choice([0.0, 0.5, 1.0])),
    )


@dataclass
class Comparison:
    """How many moves were searched alike by both programs, how many could not be called, how many roots were proven."""

    compared: int = 0
    too_close: int = 0
    solved: int = 0


def search_side_by_side(
    game: Game,
    settings: SearchSettings,
    positions: np.ndarray,
    num_moves: int,
    rng: np.random.Generator,
    counts: Comparison,
    evaluate: Callable[[bytes], Evaluation] = evaluate_by_hash,
) -> None:
    """Play on from all positions with the compiled search, and with the reference beside it: visits, moves, values and
    targets must be the same. Counts are added to."""
    lockstep = Lockstep(game, settings, positions, evaluate, seed=int(rng.integers(1 << 30)))
    references: list[ReferenceSearch | None] = [
        ReferenceSearch(game, evaluate, settings, position) for position in positions
    ]
    for _ in range(num_moves):
        lockstep.search()
        for index, reference in enumerate(references):
            if reference is None:
                continue
            search_with_the_same_noise(reference, lockstep, index)
            action = reference.action()
            if reference.narrowest_choice < TOO_CLOSE_TO_CALL:
                references[index] = None
                counts.too_close += 1
                continue
            counts.compared += 1
            counts.solved += reference.root.known is not None
            np.testing.assert_array_equal(lockstep.visits[index], reference.visits())
            assert lockstep.actions[index] == action
            # Points are rounded as well, and taking them out of a value magnifies both roundings.
            weight = settings.score_weight
            tolerance = 1e-6 if weight == 0 else 2e-6 / (1 - weight)
            result = pytest.approx(reference.root_result(), abs=tolerance)
            assert lockstep.values[index] == result
            if weight > 0:
                score = pytest.approx(reference.root_score(), rel=1e-3, abs=1e-4)
                assert lockstep.scores[index] == score
            np.testing.assert_allclose(
                lockstep.targets[index], reference.policy_target(), rtol=1e-4, atol=1e-6
            )
        play_the_same(rng, references, lockstep)


@pytest.mark.parametrize("draw_settings", [puct_settings, gumbel_settings])
def test_same_visits_values_targets_and_moves_as_the_reference(random_tree: Game, draw_settings):
    rng, counts = np.random.default_rng(7), Comparison()
    for _ in range(40):
        settings = draw_settings(rng)
        positions = random_positions(rng, 20)
        search_side_by_side(random_tree, settings, positions, 4, rng, counts)
    assert counts.compared > 1500
    assert counts.too_close < 0.02 * counts.compared


def test_go_is_searched_as_by_the_reference():
    """A game whose positions are copied in part, with numbers in its observations and a pass; subtrees are kept."""
    game = load_game("go", size=3, komi=0.5)
    rng, counts = np.random.default_rng(9), Comparison()
    for _ in range(6):
        settings = puct_settings(rng)
        positions = np.stack([middle_game(game, rng) for _ in range(4)])
        search_side_by_side(game, settings, positions, 3, rng, counts)
    assert counts.compared > 40


@pytest.mark.parametrize("draw_settings", [puct_settings, gumbel_settings])
def test_points_count_as_in_the_reference(draw_settings):
    game = load_game("dots_and_boxes", rows=2, columns=2)
    rng, counts = np.random.default_rng(10), Comparison()
    for _ in range(25):
        settings = replace(
            draw_settings(rng),
            score_weight=float(rng.choice([0.05, 0.3, 0.9])),
            score_scale=rng.choice([None, 0.7, 5.0]),
        )
        positions = np.stack([random_edges(game, rng) for _ in range(6)])
        search_side_by_side(game, settings, positions, 3, rng, counts, evaluate_with_points)
    assert counts.compared > 100
    assert counts.solved > 10


def random_edges(game: Game, rng: np.random.Generator) -> np.ndarray:
    """A position in which some edges are drawn."""
    position = game.initial_position()
    for _ in range(int(rng.integers(5, 11))):
        legal = np.flatnonzero(game.legal_actions(position))
        position = game.apply_action(position, int(rng.choice(legal)))
    return position


def middle_game(game: Game, rng: np.random.Generator) -> np.ndarray:
    """A position after some random moves, without a pass."""
    position = game.initial_position()
    for _ in range(int(rng.integers(4, 20))):
        legal = np.flatnonzero(game.legal_actions(position)[:-1])
        if len(legal):
            position = game.apply_action(position, int(rng.choice(legal)))
    return position


def search_with_the_same_noise(reference: ReferenceSearch, lockstep: Lockstep, index: int) -> None:
    """The reference's search of the move that the forest has just searched, with the noise drawn there."""
    priors = lockstep.priors[index].tolist()
    if reference.settings.algorithm == "puct":
        has_noise = reference.settings.dirichlet_fraction > 0
        reference.search(noisy_priors=priors if has_noise else None)
    else:
        scores = lockstep.forest.root_scores[index]
        reference.search(
            gumbels=[
                score - math.log(prior) if prior > 0 else 0.0
                for score, prior in zip(scores, priors, strict=True)
            ]
        )


def play_the_same(
    rng: np.random.Generator, references: list[ReferenceSearch | None], lockstep: Lockstep
) -> None:
    """A random visited move in every game; games that end are dropped."""
    actions = np.full(len(references), -1)
    for index, reference in enumerate(references):
        if reference is None:
            continue
        visited = [edge.action for edge in reference.root.edges if edge.visits > 0]
        actions[index] = rng.choice(visited)
        reference.play(actions[index])
        if reference.root.is_terminal:
            references[index] = None
    lockstep.play(actions)


@pytest.mark.parametrize("draw_settings", [puct_settings, gumbel_settings])
def test_a_search_of_given_positions_is_the_reference_without_noise(
    random_tree: Game, draw_settings
):
    rng = np.random.default_rng(8)
    for _ in range(5):
        settings = draw_settings(rng)
        quiet = replace(settings, dirichlet_fraction=0.0)
        search = Search(random_tree, settings, num_games=10)
        positions = random_positions(rng, 10)
        result = search.run(positions, FunctionEvaluator(random_tree, search.max_batch))
        for index, position in enumerate(positions):
            reference = ReferenceSearch(random_tree, evaluate_by_hash, quiet, position)
            reference.search()
            action = reference.action()
            if reference.narrowest_choice < TOO_CLOSE_TO_CALL:
                continue
            assert result.actions[index] == action
            np.testing.assert_array_equal(result.visits[index], reference.visits())
            assert result.root_value[index] == pytest.approx(reference.root_value(), abs=1e-6)
            np.testing.assert_allclose(
                result.policy_target[index], reference.policy_target(), rtol=1e-4, atol=1e-6
            )
