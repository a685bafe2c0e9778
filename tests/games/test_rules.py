"""Who wins when: the rules of the three line games, also on boards that no recorded game has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpzero.games import Game, load_game
from ddpzero.games.core.compiled import compiled
from ddpzero.games.shared.lines import makes_line


def play(game: Game, *actions: int | str) -> np.ndarray:
    """The position after some actions from the start, given as numbers or by name."""
    position = game.initial_position()
    for action in actions:
        number = game.parse_action(action) if isinstance(action, str) else action
        position = game.apply_action(position, number)
    return position


def alternate(first: str, second: str) -> list[str]:
    """Cells of both players, in the order in which they are played."""
    firsts, seconds = first.split(), second.split()
    return [cell for pair in zip(firsts, [*seconds, ""], strict=True) for cell in pair if cell]


@pytest.mark.parametrize(
    ("columns", "direction"),
    [
        ("d e d e d e d", "vertical"),
        ("a a b b c c d", "horizontal"),
        ("d c c b b a b a a e a", "falling"),
        ("a b b c c d c d d f d", "rising"),
    ],
)
def test_four_in_a_row_win_connect_four(columns, direction):
    game = load_game("connect_four")
    actions = columns.split()
    assert not game.is_terminal(play(game, *actions[:-1])), direction
    position = play(game, *actions)
    assert game.is_terminal(position), direction
    assert game.returns(position).tolist() == [1, -1]
    assert not game.legal_actions(position).any()


def test_a_row_does_not_go_on_behind_the_edge():
    game = load_game("connect_four", rows=4, columns=4, line=3)
    # The first player's stones at d1 and a2, b2 follow each other in the array, not on the board.
    position = play(game, "d", "a", "a", "b", "b")
    assert not game.is_terminal(position)


def test_a_full_column_is_not_legal():
    game = load_game("connect_four")
    position = play(game, *"aaaaaa")
    assert game.legal_actions(position).tolist() == [False] + [True] * 6


def test_a_full_board_without_a_row_is_a_draw():
    game = load_game("connect_four", rows=2, columns=2, line=2)
    assert game.returns(play(game, "a", "a", "b")).tolist() == [1, -1]
    game = load_game("connect_four", rows=2, columns=3, line=3)
    position = play(game, *"abcabc")
    assert game.is_terminal(position)
    assert game.returns(position).tolist() == [0, 0]


def test_the_longer_line_of_connect_four_must_be_full():
    game = load_game("connect_four", line=5)
    assert not game.is_terminal(play(game, *"aabbccd"))
    assert game.is_terminal(play(game, *"aabbccdde"))


def test_the_second_player_can_win_too():
    game = load_game("tic_tac_toe")
    position = play(game, "a1", "b2", "a2", "a3", "b1", "c1")
    assert game.returns(position).tolist() == [-1, 1]
    assert game.current_player(position) == 0


SIX_BY_FILLING_THE_GAP = alternate("a5 b5 d5 e5 f5 c5", "a1 c1 e1 g1 i1")


def test_six_in_a_row_win_freestyle_gomoku():
    game = load_game("gomoku", size=9)
    assert game.returns(play(game, *SIX_BY_FILLING_THE_GAP)).tolist() == [1, -1]


def test_six_in_a_row_do_not_win_with_exact_five():
    game = load_game("gomoku", size=9, exact_five=True)
    assert not game.is_terminal(play(game, *SIX_BY_FILLING_THE_GAP))
    position = play(game, *alternate("a5 b5 d5 e5 c5", "a1 c1 e1 g1"))
    assert game.returns(position).tolist() == [1, -1]


def test_exact_five_counts_for_the_second_player_too():
    game = load_game("gomoku", size=9, exact_five=True)
    six = alternate("a1 c1 e1 g1 i1 a9", "a5 b5 d5 e5 f5")
    assert not game.is_terminal(play(game, *six, "c5"))


def test_a_five_beside_an_overline_still_wins_with_exact_five():
    game = load_game("gomoku", size=9, exact_five=True)
    # c5 makes six in the row of 5 and five in the column of c.
    first = "a5 b5 d5 e5 f5 c6 c7 c8 c9 c5"
    second = "a1 c1 e1 g1 i1 b2 d2 f2 h2"
    assert game.returns(play(game, *alternate(first, second))).tolist() == [1, -1]


def test_a_line_of_three_wins_when_asked_for():
    game = load_game("gomoku", size=5, line=3)
    assert game.returns(play(game, "a1", "a5", "b2", "b5", "c3")).tolist() == [1, -1]


@compiled(cache=False)
def compiled_makes_line(cells, rows, columns, row, column, line, exact):
    return makes_line(cells, rows, columns, row, column, line, exact)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_line_test_equals_a_slow_one(data):
    rows, columns = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7))
    line, exact = data.draw(st.integers(2, 6)), data.draw(st.booleans())
    row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    stones = st.lists(
        st.sampled_from([0, 1, 1, 1, 2]), min_size=rows * columns, max_size=rows * columns
    )
    board = np.array(data.draw(stones), dtype=np.uint8).reshape(rows, columns)
    board[row, column] = 1

    def length(row_step, column_step):
        count, r, c = 0, row, column
        while 0 <= r < rows and 0 <= c < columns and board[r, c] == 1:
            count, r, c = count + 1, r + row_step, c + column_step
        return count

    lengths = [
        length(down, right) + length(-down, -right) - 1
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1))
    ]
    expected = any(n == line or (n > line and not exact) for n in lengths)
    got = compiled_makes_line(board.reshape(-1), rows, columns, row, column, line, exact)
    assert got == expected


def test_gomoku_shows_the_last_moves_newest_first():
    game = load_game("gomoku", size=7, history=3)
    position = play(game, "d4", "a1", "e5", "b2")
    planes = game.observation(position)
    assert planes.shape == (6, 7, 7)
    for plane, name in zip(planes[3:], ("b2", "e5", "a1"), strict=True):
        assert np.flatnonzero(plane).tolist() == [game.parse_action(name)]


def test_gomoku_shows_no_move_that_was_not_made():
    game = load_game("gomoku", size=7, history=3)
    assert not game.observation(game.initial_position())[3:].any()
    after_one = game.observation(play(game, "d4"))
    assert [int(plane.sum()) for plane in after_one[3:]] == [1, 0, 0]


def test_gomoku_without_history_has_three_planes_and_the_same_rules():
    bare, seeing = (load_game("gomoku", size=7, history=history) for history in (0, 8))
    moves = alternate("a1 b2 c3 d4 e5", "a2 b3 c4 d5")
    assert bare.observation(play(bare, *moves)).shape == (3, 7, 7)
    for game in (bare, seeing):
        assert game.is_terminal(play(game, *moves))
        assert not game.is_terminal(play(game, *moves[:-1]))


@pytest.mark.parametrize("history", [-1, 9])
def test_gomoku_refuses_a_history_that_it_cannot_keep(history):
    with pytest.raises(ValueError, match=rf"game.history={history} is outside 0..8"):
        load_game("gomoku", history=history)


@pytest.mark.parametrize("action", [-1, 9, 2**40, 1.5, np.nan, "4", None])
def test_what_is_no_action_of_the_game_is_refused(action):
    game = load_game("tic_tac_toe")
    with pytest.raises(ValueError, match="is not legal in this position of tic_tac_toe"):
        game.apply_action(game.initial_position(), action)


def test_rows_of_another_size_or_type_are_no_positions():
    game = load_game("tic_tac_toe")
    position = game.initial_position()
    for wrong in (position[:-1], position.astype(np.float32), position[None]):
        for method in (game.legal_actions, game.is_terminal, game.returns, game.observation):
            with pytest.raises(ValueError, match="positions of tic_tac_toe are"):
                method(wrong)
