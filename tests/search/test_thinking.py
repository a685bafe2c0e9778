"""Facts about the open-ended search of one position."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.evaluators.answers import EvaluationError
from ddpzero.games import load_game
from ddpzero.games.core.compiled import compiled
from ddpzero.search import Search, SearchSettings
from ddpzero.search import config as config_module
from ddpzero.search import thinking as thinking_module
from ddpzero.search.forest import TERMINAL
from ddpzero.search.guesses import add_guesses, new_room
from ddpzero.search.thinking import MOST_LEAVES, Thinking, thinking_settings, thinking_size_bytes
from tests.search.harness import (
    FunctionEvaluator,
    evaluate_by_hash,
    evaluate_with_points,
    random_tree_game,
)

GO = {"size": 3, "max_plies": 12}


def uniform(num_actions):
    return lambda observation: ([0.0] * num_actions, (0.25, 0.5, 0.25))


def evaluate_columns(observation):
    logits, outcome = evaluate_by_hash(observation)
    return logits[:7], outcome


@pytest.fixture(scope="module")
def connect_four():
    return load_game("connect_four")


def thinking_of(game, max_simulations=500, evaluate=None, most_together=MOST_LEAVES, **settings):
    evaluator = FunctionEvaluator(game, MOST_LEAVES, evaluate or uniform(game.num_actions))
    settings = SearchSettings(**settings)
    thinking = Thinking(game, settings, max_simulations, evaluator, most_together)
    thinking.begin(game.initial_position())
    return thinking, evaluator


def test_it_goes_on_from_any_number_of_simulations(connect_four):
    thinking, _ = thinking_of(connect_four)
    assert thinking.think(0) and thinking.visits == 0
    assert thinking.thoughts().visits == 0
    for wanted in (1, 7, 50, 120):
        assert thinking.think(wanted - thinking.visits)
        assert thinking.visits == wanted
    thoughts = thinking.thoughts()
    assert sum(move.visits for move in thoughts.moves) == thoughts.visits == 120
    assert thoughts.policy.sum() == pytest.approx(1.0)
    assert sum(thoughts.wdl) == pytest.approx(1.0) and thoughts.wdl[0] - thoughts.wdl[
        2
    ] == pytest.approx(thoughts.value)


def test_nodes_with_more_visits_than_the_table_has_entries_explore_in_the_same_way(monkeypatch):
    game = random_tree_game()

    def found():
        thinking, _ = thinking_of(game, evaluate=evaluate_by_hash, solve=False, c_puct_base=20.0)
        thinking.think(300)
        return [(move.action, move.visits, move.value) for move in thinking.thoughts().moves]

    expected = found()
    monkeypatch.setattr(config_module, "_MOST_ENTRIES", 8)
    assert found() == expected


def test_where_all_moves_lose_the_network_chooses_one(connect_four):
    """Of those that were searched most: an opponent may overlook its win, for which the network has an eye."""
    position = connect_four.initial_position()
    # The opponent has three in a row with both ends free.
    for action in (2, 2, 3, 3, 4):
        position = connect_four.apply_action(position, action)
    for preferred in (1, 5):
        logits = [0.0] * 7
        logits[preferred] = 3.0
        thinking, _ = thinking_of(
            connect_four,
            evaluate=lambda _, logits=logits: (logits, (0.25, 0.5, 0.25)),
            # The opponent's win is found at once, so that all moves are searched equally little.
            forced_win_plies=1,
        )
        thinking.begin(position)
        thinking.think(500)
        thoughts = thinking.thoughts()
        assert thoughts.is_proven and thoughts.value == -1.0
        best = thoughts.moves[0]
        assert best.visits == max(move.visits for move in thoughts.moves)
        tied = [move for move in thoughts.moves if move.visits == best.visits]
        assert best.prior == max(move.prior for move in tied)
        assert best.action == preferred


def test_with_one_leaf_at_a_time_simulations_in_parts_find_what_they_find_at_once(monkeypatch):
    monkeypatch.setattr(thinking_module, "MOST_LEAVES", 1)
    game = random_tree_game()
    at_once, _ = thinking_of(game, evaluate=evaluate_by_hash, solve=False)
    in_parts, _ = thinking_of(game, evaluate=evaluate_by_hash, solve=False)
    at_once.think(15)
    for _ in range(15):
        in_parts.think(1)
    assert at_once.thoughts().moves == in_parts.thoughts().moves


def test_with_one_leaf_at_a_time_its_simulations_are_those_of_puct(monkeypatch):
    monkeypatch.setattr(thinking_module, "MOST_LEAVES", 1)
    game = random_tree_game()
    thinking, evaluator = thinking_of(game, evaluate=evaluate_by_hash, most_together=1, solve=False)
    thinking.think(15)
    assert set(evaluator.batch_sizes) == {1}
    settings = thinking_settings(SearchSettings(num_simulations=15, solve=False), 15)
    search = Search(game, settings, 1)
    found = search.run(game.initial_position()[None], FunctionEvaluator(game, 16, evaluate_by_hash))
    visits = np.zeros(game.num_actions, int)
    for move in thinking.thoughts().moves:
        visits[move.action] = move.visits
    assert visits.tolist() == found.visits[0].tolist()


def test_what_it_finds_does_not_depend_on_positions_before():
    game = random_tree_game()
    thinking, _ = thinking_of(game, evaluate=evaluate_by_hash, solve=False)
    thinking.think(100)
    found = thinking.thoughts()
    for _ in range(2):
        thinking.begin(game.initial_position())
        thinking.think(100)
        assert thinking.thoughts().moves == found.moves


def test_a_new_position_is_evaluated_together_with_those_after_its_moves(connect_four):
    thinking, evaluator = thinking_of(connect_four)
    thinking.think(0)
    assert evaluator.batch_sizes == [1 + 7] and thinking.visits == 0
    thinking.think(7)
    # With equal evaluations each move is tried once.
    assert evaluator.batch_sizes == [1 + 7] and thinking.visits == 7


def test_of_many_moves_the_most_probable_ones_are_evaluated_together():
    game = load_game("gomoku", size=5)
    logits = np.zeros(25)
    logits[[3, 7, 11, 12, 13, 20, 21, 24]] = 5.0
    thinking, evaluator = thinking_of(
        game, evaluate=lambda _: (logits, (0.25, 0.5, 0.25)), most_together=8
    )
    thinking.think(0)
    thinking.think(8)
    assert evaluator.batch_sizes == [1, 8] and thinking.visits == 8
    assert {move.action for move in thinking.thoughts().moves if move.visits} == set(
        np.flatnonzero(logits).tolist()
    )
    thinking.think(5)
    assert max(evaluator.batch_sizes) <= 8


@pytest.mark.parametrize(
    "settings",
    [{"solve": False}, {}, {"forced_win_plies": 1}, {"score_weight": 0.3}],
)
def test_with_one_leaf_at_a_time_guesses_change_no_result(monkeypatch, settings):
    monkeypatch.setattr(thinking_module, "MOST_LEAVES", 1)
    # Its games end early: positions after moves may be terminal, and all moves of the first one find a place.
    game, evaluate = random_tree_game(), evaluate_by_hash
    if "forced_win_plies" in settings:
        game, evaluate = load_game("connect_four"), evaluate_columns
    elif "score_weight" in settings:
        game, evaluate = load_game("dots_and_boxes", rows=2, columns=2), evaluate_with_points

    def found(most_together):
        thinking, evaluator = thinking_of(
            game, evaluate=evaluate, most_together=most_together, **settings
        )
        thoughts = []
        for num_simulations in (1, 1, 1, 2, 10, 50, 100):
            thinking.think(num_simulations)
            thoughts.append(thinking.thoughts())
        if not thinking.is_proven:
            thinking.advance(thoughts[-1].moves[0].action)
            thinking.think(100)
            thoughts.append(thinking.thoughts())
        return [thought.moves for thought in thoughts], len(evaluator.batch_sizes)

    moves, num_calls = found(most_together=1)
    for most_together in (4, 32):
        moves_with_guesses, num_calls_with_guesses = found(most_together)
        assert moves_with_guesses == moves
        assert num_calls_with_guesses < num_calls


@compiled(cache=True)
def guess_beside_nothing(rules, forest, config, cache, weights_version, room, observations):
    return add_guesses(rules, forest, config, cache, weights_version, room, observations, 0)


def test_what_is_imagined_is_taken_back(connect_four):
    thinking, _ = thinking_of(connect_four, evaluate=evaluate_columns, forced_win_plies=1)
    batch, forest = thinking._batch, thinking._forest
    observations = np.zeros((MOST_LEAVES, connect_four.observation_size_bytes), np.uint8)
    room = new_room(connect_four, MOST_LEAVES, MOST_LEAVES)
    thinking.think(0)
    for num_simulations in (3, 20, 60):
        thinking.think(num_simulations)
        num_nodes = int(forest.trees[0]["num_nodes"])
        arrays = forest.trees, forest.nodes[0, :num_nodes], forest.edges[0, :num_nodes]
        before = [array.tobytes() for array in arrays]
        # Of these weights nothing is known: all that is imagined is asked for.
        arguments = (connect_four.rules, forest, batch.config, batch.cache, 99, room, observations)
        assert guess_beside_nothing(*arguments) == MOST_LEAVES
        assert len(np.unique(observations, axis=0)) > MOST_LEAVES // 2
        assert [array.tobytes() for array in arrays] == before


def test_an_evaluator_of_few_positions_is_never_asked_for_more(connect_four):
    evaluator = FunctionEvaluator(connect_four, 3, uniform(7))
    thinking = Thinking(connect_four, SearchSettings(), 100, evaluator)
    thinking.begin(connect_four.initial_position())
    thinking.think(100)
    assert max(evaluator.batch_sizes) == 3 and thinking.visits == 100


def test_a_large_tree_gets_batches(connect_four):
    thinking, evaluator = thinking_of(connect_four)
    thinking.think(400)
    assert max(evaluator.batch_sizes) == MOST_LEAVES and len(evaluator.batch_sizes) < 100


def test_a_win_is_proven_and_played(connect_four):
    thinking, _ = thinking_of(connect_four)
    position = connect_four.initial_position()
    for name in "ababab":
        position = connect_four.apply_action(position, connect_four.parse_action(name))
    thinking.begin(position)
    assert not thinking.think(100) and thinking.is_proven
    thoughts = thinking.thoughts()
    assert connect_four.action_name(thoughts.moves[0].action) == "a"
    assert thoughts.is_proven and thoughts.value == 1.0 and thoughts.wdl == (1.0, 0.0, 0.0)
    assert thoughts.moves[0].is_proven and thoughts.moves[0].value == 1.0


def test_what_is_known_is_kept_over_a_move(connect_four):
    thinking, evaluator = thinking_of(connect_four)
    thinking.think(300)
    best = thinking.thoughts().moves[0]
    thinking.advance(best.action)
    expected = connect_four.apply_action(connect_four.initial_position(), best.action)
    assert thinking.position.tolist() == expected.tolist()
    # The first visit evaluated the position itself.
    assert thinking.visits == best.visits - 1
    before = len(evaluator.batch_sizes)
    assert thinking.think(0) and len(evaluator.batch_sizes) == before
    thinking.think(100)
    assert thinking.visits == best.visits + 99


def test_lines_can_be_played(connect_four):
    thinking, _ = thinking_of(connect_four)
    # All lines of 3 moves are 399 simulations, and the network prefers none.
    thinking.think(450)
    for move in thinking.thoughts().moves:
        position = connect_four.initial_position()
        assert move.line[0] == move.action
        for action in move.line:
            position = connect_four.apply_action(position, action)
    assert max(len(move.line) for move in thinking.thoughts().moves) > 3


def test_the_tree_has_no_more_simulations_than_it_was_made_for(connect_four):
    thinking, _ = thinking_of(connect_four, max_simulations=64)
    assert not thinking.think(1000) and thinking.visits == 64
    rng = np.random.default_rng(0)
    position = connect_four.initial_position()
    for _ in range(8):
        action = int(rng.choice(connect_four.possible_actions(position)))
        position = connect_four.apply_action(position, action)
        thinking.advance(action)
        thinking.think(1000)
        assert thinking.visits == 64 or thinking.is_proven


def test_points_of_moves_are_those_of_the_search():
    game = load_game("go", **GO)

    def evaluate(observation):
        logits, outcome = evaluate_with_points(observation)
        return logits[: game.num_actions], outcome

    thinking, _ = thinking_of(game, evaluate=evaluate, score_weight=0.3)
    thinking.think(200)
    thoughts = thinking.thoughts()
    assert thoughts.score is not None and all(move.score is not None for move in thoughts.moves)
    assert all(-1.0 <= move.value <= 1.0 for move in thoughts.moves)
    mean = sum(move.visits * move.value for move in thoughts.moves) / thoughts.visits
    assert mean == pytest.approx(thoughts.value, abs=0.1)


def test_a_game_that_is_over_is_refused(connect_four):
    thinking, _ = thinking_of(connect_four)
    position = connect_four.initial_position()
    for name in "ababab":
        position = connect_four.apply_action(position, connect_four.parse_action(name))
    thinking.begin(position)
    with pytest.raises(ValueError, match="the game is over"):
        thinking.advance(connect_four.parse_action("a"))
    with pytest.raises(ValueError, match="not legal"):
        thinking.advance(7)
    with pytest.raises(ValueError, match="the game is over"):
        thinking.begin(connect_four.apply_action(position, connect_four.parse_action("a")))


def test_no_chance_is_below_0(connect_four):
    """Rounding leaves less than nothing of a chance that no evaluation sees."""
    chances = np.zeros(3)

    def evaluate(observation):
        # The same for the first player everywhere: the observation has a bit for each piece.
        is_first = sum(byte.bit_count() for byte in observation) % 2 == 0
        return [0.0] * 7, chances if is_first else chances[::-1]

    for lost in np.linspace(0.01, 0.6, 20):
        chances[:] = 0.0, 1.0 - lost, lost
        thinking, _ = thinking_of(connect_four, evaluate=evaluate)
        for num_simulations in (5, 6, 90):
            thinking.think(num_simulations)
            assert min(thinking.thoughts().wdl) >= 0.0


def test_unusable_answers_are_refused(connect_four):
    thinking, _ = thinking_of(connect_four, evaluate=lambda _: ([np.nan] * 7, (0.5, 0.0, 0.5)))
    with pytest.raises(EvaluationError):
        thinking.think(1)


def test_memory_is_estimated(connect_four):
    small, large = (thinking_size_bytes(connect_four, SearchSettings(), n) for n in (100, 10_000))
    thinking, _ = thinking_of(connect_four, max_simulations=10_000)
    forest = thinking._forest
    assert (
        large
        > sum(a.nbytes for a in (forest.positions, forest.nodes, forest.edges))
        > 50 * small / 2
    )


def test_moves_without_a_thought_between_them_lead_to_the_position_after_them(connect_four):
    thinking, _ = thinking_of(connect_four)
    thinking.think(300)
    position = connect_four.initial_position()
    # The tree below moves that were hardly looked at is soon empty.
    worst = connect_four.action_name(thinking.thoughts().moves[-1].action)
    for names in (f"{worst}ab", "gab", "gab"):
        for name in names:
            action = connect_four.parse_action(name)
            thinking.advance(action)
            position = connect_four.apply_action(position, action)
            assert thinking.position.tolist() == position.tolist()
        thinking.think(5)


def test_the_lead_of_a_move_is_over_the_second_one(connect_four):
    thinking, _ = thinking_of(connect_four)
    assert thinking.lead == 0
    thinking.think(200)
    first, second = (move.visits for move in thinking.thoughts().moves[:2])
    assert thinking.lead == first - second


def test_it_returns_in_time_although_nothing_has_to_be_evaluated():
    """The winning move ends the game: its simulations need no evaluation, and a single call could make all of them."""
    game = load_game("tic_tac_toe")
    thinking, _ = thinking_of(game, max_simulations=1_000_000, solve=False)
    position = game.initial_position()
    for name in ["a1", "b1", "a2", "b2"]:
        position = game.apply_action(position, game.parse_action(name))
    thinking.begin(position)
    assert thinking.think(1_000_000, until=0.0)
    assert thinking.think(1_000_000, until=0.0)
    assert thinking.visits < 10_000


def test_it_returns_in_time_although_proofs_take_long(connect_four):
    """None of these proofs comes to an end: each meets as many positions as it may."""
    thinking, _ = thinking_of(connect_four, endgame_plies=42, endgame_positions=20_000)
    thinking.think(100)
    counts = thinking._forest.endgame.counts
    for _ in range(3):
        before = counts[2]
        assert thinking.think(400, until=0.0)
        assert 0 < counts[2] - before <= 50_000 + 20_000


def test_moves_may_follow_each_other_without_thinking_in_between(connect_four):
    thinking, _ = thinking_of(connect_four)
    thinking.think(3)
    moves = thinking.thoughts().moves
    assert moves[0].visits > 0 and moves[-1].visits == 0
    # Of the position after the first move nothing is known, and memory holds what is below the old root.
    position = connect_four.initial_position()
    for action in (moves[-1].action, moves[0].action):
        position = connect_four.apply_action(position, action)
        thinking.advance(action)
        assert thinking.position.tolist() == position.tolist()


def test_the_visits_of_a_line_fall_from_move_to_move(connect_four):
    thinking, _ = thinking_of(connect_four)
    thinking.think(300)
    for move in thinking.thoughts().moves:
        assert len(move.line_visits) == len(move.line) and move.line_visits[0] == move.visits
        assert list(move.line_visits) == sorted(move.line_visits, reverse=True)


def bans_of(game, *bans):
    """bans: ply, player, actions."""
    found = np.zeros((max(ply for ply, _, _ in bans) + 1, 2, game.num_actions), np.bool_)
    for ply, player, actions in bans:
        found[ply, player, actions] = True
    return found


def test_banned_moves_are_not_searched_at_their_depth_and_by_their_player(connect_four):
    def evaluate(observation):
        logits, outcome = evaluate_by_hash(observation)
        return logits[: connect_four.num_actions], outcome

    thinking, _ = thinking_of(connect_four, evaluate=evaluate)
    bans = bans_of(connect_four, (0, 0, [0, 1, 2, 3]), (1, 1, [0, 1, 2, 4, 5, 6]))
    thinking.begin(connect_four.initial_position(), bans)
    thinking.think(400)
    thoughts = thinking.thoughts()
    assert {move.action for move in thoughts.moves} == {4, 5, 6}
    assert sum(move.prior for move in thoughts.moves) == pytest.approx(1.0)
    assert all(move.line[1] == 3 for move in thoughts.moves if len(move.line) > 1)
    # Deeper, everything is allowed, as it is after a move.
    assert {move.line[2] for move in thoughts.moves if len(move.line) > 2} != {3}
    thinking.advance(5)
    thinking.think(300)
    assert len(thinking.thoughts().moves) == 7


def test_bans_prove_nothing_and_leave_a_player_without_other_moves_alone(connect_four):
    thinking, _ = thinking_of(connect_four)
    position = connect_four.initial_position()
    for action in (0, 1, 0, 1, 0, 1):
        position = connect_four.apply_action(position, action)
    thinking.begin(position, bans_of(connect_four, (0, 0, [0]), (1, 1, list(range(7)))))
    assert thinking.think(200) and not thinking.is_proven
    assert {move.action for move in thinking.thoughts().moves} == {1, 2, 3, 4, 5, 6}
    thinking.begin(position)
    thinking.think(200)
    assert thinking.is_proven and thinking.thoughts().moves[0].action == 0


def test_a_move_that_is_proven_to_lose_leads_no_longer(connect_four):
    thinking, _ = thinking_of(connect_four)
    thinking.think(100)
    first, second, third = (move for move in thinking.thoughts().moves[:3])
    assert thinking.lead == first.visits - second.visits
    forest = thinking._forest
    edge = forest.edges[0, 0, first.action]
    child = forest.nodes[0, edge["child"]]
    child["state"], child["value"] = TERMINAL, 1.0
    edge["value_sum"] = -float(edge["visits"])
    assert thinking.lead == second.visits - third.visits
