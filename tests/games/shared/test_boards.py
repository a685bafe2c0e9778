from __future__ import annotations

import numpy as np
import pytest

from ddpzero.games import load_game
from ddpzero.games.shared.boards import parse_square, rectangle_symmetries, square_name


def test_squares_are_named_from_the_bottom_left():
    assert square_name(0, 0, num_rows=15) == "a15"
    assert square_name(14, 14, num_rows=15) == "o1"


@pytest.mark.parametrize("text", ["d4", "D4", " d4 "])
def test_squares_are_read_in_either_case(text):
    assert parse_square(text, num_rows=6, num_columns=7) == 2 * 7 + 3


@pytest.mark.parametrize("text", ["", "4", "d", "d0", "d7", "h1", "d4x", "dd", "d-1", "d²"])
def test_what_is_not_a_square_is_refused_with_the_range(text):
    with pytest.raises(ValueError, match="from a1 to g6"):
        parse_square(text, num_rows=6, num_columns=7)


def test_a_square_board_has_8_symmetries_and_an_oblong_one_4():
    assert len({tuple(symmetry) for symmetry in rectangle_symmetries(3, 3)}) == 8
    assert len({tuple(symmetry) for symmetry in rectangle_symmetries(2, 3)}) == 4


def test_a_drawing_marks_the_last_move():
    game = load_game("connect_four")
    position = game.initial_position()
    for action in (3, 3, 6):
        position = game.apply_action(position, action)
    assert game.render(position, last_action=6).splitlines() == [
        "   a b c d e f g",
        "6  . . . . . . .",
        "5  . . . . . . .",
        "4  . . . . . . .",
        "3  . . . . . . .",
        "2  . . . O . . .",
        "1  . . . X . .[X]",
    ]
    assert game.render(position, last_action=3).splitlines()[5] == "2  . . .[O]. . ."


def test_large_boards_are_labeled_on_every_side():
    game = load_game("gomoku", size=10)
    position = game.apply_action(game.initial_position(), 0)
    lines = game.render(position, last_action=0).splitlines()
    assert lines[0] == lines[-1] == "    a b c d e f g h i j"
    assert lines[1] == "10 [X]. . . . . . . . .  10"
    assert lines[10] == " 1  . . . . . . . . . .  1"


def test_connect_four_takes_column_letters_and_numbers():
    game = load_game("connect_four")
    assert [game.parse_action(text) for text in ("a", "G", "1", "7", " d ")] == [0, 6, 0, 6, 3]
    for text in ("h", "0", "8", "d4", ""):
        with pytest.raises(ValueError, match="a letter from a to g or a number from 1 to 7"):
            game.parse_action(text)


def test_symmetries_move_cells_the_way_they_say():
    cells = np.arange(6).reshape(2, 3)
    moved = cells.reshape(-1)[rectangle_symmetries(2, 3)].reshape(-1, 2, 3)
    assert np.array_equal(moved[1], cells[:, ::-1])
