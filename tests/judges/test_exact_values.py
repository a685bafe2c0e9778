"""Facts about what is known of positions by perfect play."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.games import load_game
from ddpzero.judges.exact_values import ExactTables, read_exact_table
from ddpzero.judges.packaged import find_positions, names
from ddpzero.judges.solved_positions import ILLEGAL, read_solved_positions
from ddpzero.system.errors import UserError


def position_after(game, moves):
    position = game.initial_position()
    for name in moves.split():
        position = game.apply_action(position, game.parse_action(name))
    return position


@pytest.mark.parametrize("name", names("judge"))
def test_every_position_of_a_file_is_found_in_all_its_views(name):
    solved = read_solved_positions(find_positions(name))
    table = read_exact_table(solved.game)
    for position, scores in zip(solved.positions, solved.scores, strict=True):
        found = table.find(position)
        legal = np.flatnonzero(scores != ILLEGAL)
        assert found.outcomes == {int(a): int(np.sign(scores[a])) for a in legal}
        if solved.scores_are_margins:
            assert found.margins == {int(a): int(scores[a]) for a in legal}
        else:
            assert found.margins is None


def test_a_mirrored_position_has_the_mirrored_values():
    game = load_game("connect_four")
    solved = read_solved_positions(find_positions("connect_four"))
    table = read_exact_table(game)
    with np.load(find_positions("connect_four")) as archive:
        moves, lengths = archive["moves"], archive["lengths"]
    for index in range(20):
        position = game.initial_position()
        for action in moves[index, : lengths[index]].tolist():
            position = game.apply_action(position, 6 - action)
        found, scores = table.find(position), solved.scores[index, ::-1]
        assert found.outcomes == {a: np.sign(s) for a, s in enumerate(scores) if s != ILLEGAL}


def test_the_best_actions_keep_the_outcome_or_gain_most_points():
    game = load_game("tic_tac_toe")
    found = read_exact_table(game).find(position_after(game, "a1 a2 b2 c3"))
    assert found.outcome == 1 and found.margin is None
    assert sorted(map(game.action_name, found.best_actions)) == ["b1", "c1"]
    boxes = load_game("dots_and_boxes", rows=2, columns=2)
    solved = read_solved_positions(find_positions("dots_and_boxes_2x2"))
    table = read_exact_table(boxes)
    for position, is_best in zip(solved.positions[:50], solved.is_best, strict=False):
        found = table.find(position)
        assert found.best_actions == np.flatnonzero(is_best).tolist()
        assert found.margin == max(found.margins.values())


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("connect_four", {"columns": 6}),
        # The board of the file, by other rules.
        ("connect_four", {"line": 5}),
        # As many edges as the board of a file.
        ("dots_and_boxes", {"rows": 3, "columns": 2}),
        ("hex", {"size": 4, "swap": True}),
        ("go", {"size": 9}),
    ],
)
def test_of_another_board_nothing_is_known(name, parameters):
    assert read_exact_table(load_game(name, **parameters)) is None


def test_of_a_position_in_no_file_nothing_is_known():
    game = load_game("connect_four")
    assert read_exact_table(game).find(game.initial_position()) is None


def test_of_a_game_from_outside_with_the_same_name_nothing_is_known():
    own = load_game("tic_tac_toe")
    other = load_game("tic_tac_toe", source="ddpzero.games.tic_tac_toe")
    tables = ExactTables()
    assert tables.read(own) is not None
    assert read_exact_table(other) is None and tables.read(other) is None
    assert tables.is_read(other)


def test_a_table_is_read_once():
    game, tables = load_game("hex", size=3), ExactTables()
    assert not tables.is_read(game)
    table = tables.read(game)
    assert tables.is_read(game) and tables.read(load_game("hex", size=3)) is table


def test_positions_of_four_in_a_row_do_not_judge_five_in_a_row():
    with pytest.raises(UserError, match=r"the game here is connect_four with .*line=5"):
        read_solved_positions(find_positions("connect_four"), load_game("connect_four", line=5))
