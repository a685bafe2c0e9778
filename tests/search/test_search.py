"""Facts about `Search`, which matches, judges and players use, and about what a search is good for."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.evaluators.answers import EvaluationError
from ddpzero.games import Game
from ddpzero.search import Search, SearchResult, SearchSettings
from ddpzero.search.forest import TOGETHER
from tests.search.games.random_tree import new_position
from tests.search.harness import FunctionEvaluator, Lockstep, evaluate_by_hash

ALGORITHMS = pytest.mark.parametrize("algorithm", ["puct", "gumbel"])


def position_of(game: Game, board: str) -> np.ndarray:
    """The position of a drawn board, row by row: X moves first."""
    cells = board.split()
    firsts = [cell for cell, stone in enumerate("".join(cells)) if stone == "X"]
    seconds = [cell for cell, stone in enumerate("".join(cells)) if stone == "O"]
    position = game.initial_position()
    for ply in range(len(firsts) + len(seconds)):
        position = game.apply_action(position, (seconds if ply % 2 else firsts)[ply // 2])
    return position


def search_one(game: Game, algorithm: str, position: np.ndarray, favorite: int) -> SearchResult:
    """The evaluator holds one action for e times as good as any other, and every position for even."""
    logits = np.zeros(game.num_actions, np.float32)
    logits[favorite] = 1.0
    settings = SearchSettings(algorithm=algorithm, num_simulations=200)
    search = Search(game, settings, num_games=1)
    evaluator = FunctionEvaluator(game, search.max_batch, lambda _: (logits, (0.25, 0.5, 0.25)))
    return search.run(position[None], evaluator)


@ALGORITHMS
def test_takes_a_win_in_one_over_a_better_prior(tic_tac_toe: Game, algorithm: str):
    position = position_of(tic_tac_toe, "XX. OO. ...")
    result = search_one(tic_tac_toe, algorithm, position, favorite=5)
    assert result.actions[0] == 2
    assert result.policy_target[0, 2] > 0.7


@ALGORITHMS
def test_avoids_a_loss_in_two_over_a_better_prior(tic_tac_toe: Game, algorithm: str):
    position = position_of(tic_tac_toe, "XX. .O. ...")
    result = search_one(tic_tac_toe, algorithm, position, favorite=6)
    assert result.actions[0] == 2


@ALGORITHMS
def test_finds_a_double_threat(tic_tac_toe: Game, algorithm: str):
    position = position_of(tic_tac_toe, "XO. X.. O..")
    result = search_one(tic_tac_toe, algorithm, position, favorite=8)
    assert result.actions[0] == 4
    assert result.root_value[0] > 0


@ALGORITHMS
def test_sees_that_a_double_threat_is_lost(tic_tac_toe: Game, algorithm: str):
    position = position_of(tic_tac_toe, "XO. XX. O..")
    result = search_one(tic_tac_toe, algorithm, position, favorite=8)
    assert result.root_value[0] < -0.7


@ALGORITHMS
def test_a_player_who_moves_again_wants_what_is_good_for_itself(random_tree: Game, algorithm: str):
    """Only one action wins, by another turn of the same player; the evaluator prefers another."""
    position, winning_action = find_win_by_two_moves_running(random_tree)
    other = next(
        a for a in np.flatnonzero(random_tree.legal_actions(position)) if a != winning_action
    )
    result = search_one(random_tree, algorithm, position, favorite=other)
    assert result.actions[0] == winning_action
    assert result.policy_target[0, winning_action] > 0.7


def find_win_by_two_moves_running(game: Game) -> tuple[np.ndarray, int]:
    """A position two plies before the end whose mover can win, and only by one action that gives another turn."""
    for key in range(100_000):
        position = new_position(key, max_plies=2, legal_percent=40, end_percent=0)
        values = {
            int(action): value_before_the_last_ply(game, game.apply_action(position, int(action)))
            for action in np.flatnonzero(game.legal_actions(position))
        }
        best = max(values, key=values.__getitem__)
        has_another_turn = game.current_player(game.apply_action(position, best)) == 0
        others = [value for action, value in values.items() if action != best]
        if has_another_turn and values[best] == 1.0 and others and max(others) < 0.0:
            return position, best
    raise AssertionError("no such position")


def value_before_the_last_ply(game: Game, position: np.ndarray) -> float:
    """Player 0's value."""
    values = [
        float(game.returns(game.apply_action(position, int(action)))[0])
        for action in np.flatnonzero(game.legal_actions(position))
    ]
    return max(values) if game.current_player(position) == 0 else min(values)


@ALGORITHMS
def test_without_simulations_the_best_legal_prior_is_played(random_tree: Game, algorithm: str):
    settings = SearchSettings(algorithm=algorithm, num_simulations=0)
    search = Search(random_tree, settings, num_games=50)
    positions = np.array([new_position(key, legal_percent=50) for key in range(50)])
    result = search.run(positions, FunctionEvaluator(random_tree, search.max_batch))
    for index, position in enumerate(positions):
        observation = np.packbits(random_tree.observation(position), bitorder="little")
        logits, (win, _, loss) = evaluate_by_hash(observation.tobytes())
        legal = random_tree.legal_actions(position)
        assert result.actions[index] == np.where(legal, logits, -np.inf).argmax()
        assert result.root_value[index] == pytest.approx(win - loss)
        weights = np.where(legal, np.exp(logits), 0.0)
        np.testing.assert_allclose(result.policy_target[index], weights / weights.sum(), rtol=1e-4)
    assert (result.visits == 0).all()


@ALGORITHMS
@pytest.mark.parametrize("leaves_per_round", [1, 3])
def test_a_position_s_result_depends_on_nothing_else_in_the_batch(
    random_tree: Game, algorithm: str, leaves_per_round: int
):
    """Fewer positions than games, one after another in the same forest, or all at once: the same is found.

    They are more than the trees that move together (ahead.py), and not a multiple.
    """
    settings = SearchSettings(
        algorithm=algorithm, num_simulations=20, leaves_per_round=leaves_per_round
    )
    positions = np.array([new_position(key) for key in range(2 * TOGETHER + 5)])
    search = Search(random_tree, settings, num_games=50)
    evaluator = FunctionEvaluator(random_tree, search.max_batch)
    together = search.run(positions, evaluator)
    for index in range(2 * TOGETHER + 5):
        alone = search.run(positions[index : index + 1], evaluator)
        np.testing.assert_array_equal(alone.visits[0], together.visits[index])
        np.testing.assert_array_equal(alone.policy_target[0], together.policy_target[index])
        assert alone.actions[0] == together.actions[index]
        assert alone.root_value[0] == together.root_value[index]
    assert max(evaluator.batch_sizes) >= 2 * TOGETHER + 5


def test_a_search_leaves_the_positions_it_was_given(random_tree: Game):
    positions = np.array([new_position(key) for key in range(3)])
    before = positions.copy()
    search = Search(random_tree, SearchSettings(num_simulations=20), num_games=3)
    search.run(positions, FunctionEvaluator(random_tree, search.max_batch))
    np.testing.assert_array_equal(positions, before)


def test_several_leaves_a_round_mean_fewer_rounds_and_the_same_budget(random_tree: Game):
    position = new_position(2, max_plies=30, legal_percent=100, end_percent=0)
    settings = SearchSettings(algorithm="puct", num_simulations=256, leaves_per_round=8)
    search = Search(random_tree, settings, num_games=1)
    evaluator = FunctionEvaluator(random_tree, search.max_batch)
    result = search.run(position[None], evaluator)
    assert result.visits.sum() == 256
    assert len(evaluator.batch_sizes) < 60


@ALGORITHMS
def test_noise_is_determined_by_the_seed(random_tree: Game, algorithm: str):
    settings = SearchSettings(algorithm=algorithm, num_simulations=16)
    positions = np.tile(new_position(9, legal_percent=100), (20, 1))

    def visits(seed: int) -> list:
        lockstep = Lockstep(random_tree, settings, positions, seed=seed)
        lockstep.search()
        return lockstep.visits.tolist()

    assert visits(1) == visits(1)
    assert visits(1) != visits(2)


@ALGORITHMS
def test_an_action_with_a_hopeless_logit_stays_legal(random_tree: Game, algorithm: str):
    position = new_position(9, legal_percent=100)
    logits = np.array([200.0] + [-200.0] * 9, np.float32)
    settings = SearchSettings(algorithm=algorithm, num_simulations=16, solve=False)
    search = Search(random_tree, settings, num_games=1)
    evaluator = FunctionEvaluator(random_tree, search.max_batch, lambda _: (logits, (0.5, 0, 0.5)))
    result = search.run(position[None], evaluator)
    assert (search.forest.edges["prior"][0, 0] > 0).all()
    assert result.visits.sum() == 16
    assert np.isfinite(result.policy_target).all()


@ALGORITHMS
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("what", ["prior logits", "outcomes"])
def test_what_is_no_number_is_an_error_and_never_an_action(
    tic_tac_toe: Game, algorithm: str, what: str, bad: float
):
    logits, outcome = [0.0] * 9, (0.25, 0.5, 0.25)
    if what == "prior logits":
        logits[4] = bad
    else:
        outcome = (0.25, 0.5, bad)
    search = Search(tic_tac_toe, SearchSettings(algorithm=algorithm, num_simulations=8), 3)
    evaluator = FunctionEvaluator(tic_tac_toe, search.max_batch, lambda _: (logits, outcome))
    with pytest.raises(EvaluationError, match=f"answered with {what} that are not finite"):
        search.run(tic_tac_toe.new_positions(3), evaluator)


@pytest.mark.parametrize(
    "outcome",
    [
        (-0.25, 1.0, 0.25, 0.0),
        (0.5, 0.5, 0.5, 0.0),
        (0.0, 0.0, 0.0, 0.0),
        (0.25, 0.5, 0.25, 1.5),
    ],
)
def test_outcomes_that_are_not_probabilities_are_an_error(tic_tac_toe: Game, outcome: tuple):
    search = Search(tic_tac_toe, SearchSettings(num_simulations=8), 3)
    evaluator = FunctionEvaluator(tic_tac_toe, search.max_batch, lambda _: ([0.0] * 9, outcome))
    with pytest.raises(EvaluationError, match="answered with outcomes that are not probabilities"):
        search.run(tic_tac_toe.new_positions(3), evaluator)


def test_one_unusable_answer_in_a_batch_leaves_the_whole_forest_unchanged(tic_tac_toe: Game):
    settings = SearchSettings(num_simulations=8)
    answer = ([0.0] * 9, (0.25, 0.5, 0.25))
    lockstep = Lockstep(tic_tac_toe, settings, tic_tac_toe.new_positions(3), lambda _: answer)
    evaluator = lockstep.evaluator
    num_leaves = lockstep.propose()
    before = lockstep.forest.nodes.tobytes(), lockstep.forest.trees.tobytes()
    evaluator.submit(0, num_leaves)
    logits, outcomes = evaluator.collect(0)
    logits[2, 8] = np.nan
    assert not lockstep.batch.absorb(evaluator.rows, logits, outcomes)
    assert (lockstep.forest.nodes.tobytes(), lockstep.forest.trees.tobytes()) == before


def test_numbers_whose_sum_alone_is_not_finite_are_searched(tic_tac_toe: Game):
    logits = [3e38] * 9
    search = Search(tic_tac_toe, SearchSettings(num_simulations=8), 1)
    evaluator = FunctionEvaluator(
        tic_tac_toe, search.max_batch, lambda _: (logits, (0.25, 0.5, 0.25))
    )
    result = search.run(tic_tac_toe.new_positions(1), evaluator)
    assert 0 <= result.actions[0] < 9


def test_what_is_no_position_to_search_is_refused(tic_tac_toe: Game):
    search = Search(tic_tac_toe, SearchSettings(num_simulations=8), 2)
    evaluator = FunctionEvaluator(tic_tac_toe, search.max_batch)
    positions = tic_tac_toe.new_positions(2)
    for wrong in (positions.astype(np.int64), positions[:, :10], positions[0], positions[None]):
        with pytest.raises(ValueError, match=r"positions of tic_tac_toe are uint8\[n, 11\], not"):
            search.run(wrong, evaluator)
    with pytest.raises(ValueError, match="3 positions are too many for 2 trees"):
        search.run(tic_tac_toe.new_positions(3), evaluator)
    over = position_of(tic_tac_toe, "XXX OO. ...")
    with pytest.raises(ValueError, match="position 1 is terminal"):
        search.run(np.stack([positions[0], over]), evaluator)
