"""Facts about the order of moves that leads to the stones on a board."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.games import load_game
from ddpzero.play.protocols.gomocup.errors import CommandError
from ddpzero.play.protocols.gomocup.stones import moves_to

SIZE = 9


def cells(text):
    """The cells of own stones, o, and of the opponent's, x, on a board drawn from its first row."""
    rows = text.split()
    return [
        [SIZE * y + x for y, row in enumerate(rows) for x, stone in enumerate(row) if stone == mark]
        for mark in "ox"
    ]


def played(moves, exactly_five=False):
    """The stones after moves, by the rules."""
    game = load_game("gomoku", size=SIZE, exact_five=exactly_five)
    position = game.initial_position()
    for move in moves:
        position = game.apply_action(position, move)
    assert not game.is_terminal(position)
    board, me = game.board(position), game.current_player(position)
    return [set(np.flatnonzero(board == stone).tolist()) for stone in (me + 1, 2 - me)]


@pytest.mark.parametrize("exactly_five", [False, True])
def test_the_stones_of_random_games_are_reached(exactly_five):
    rng = np.random.default_rng(0)
    game = load_game("gomoku", size=SIZE, exact_five=exactly_five)
    num_reached = 0
    for _ in range(60):
        position = game.initial_position()
        for _ in range(int(rng.integers(1, 60))):
            after = game.apply_action(position, int(rng.choice(game.possible_actions(position))))
            if game.is_terminal(after):
                break
            position = after
        board, me = game.board(position), game.current_player(position)
        own, others = (
            rng.permutation(np.flatnonzero(board == s)).tolist() for s in (me + 1, 2 - me)
        )
        assert played(moves_to(own, others, SIZE, exactly_five), exactly_five) == [
            set(own),
            set(others),
        ]
        num_reached += len(own) > 10
    assert num_reached > 20


def test_the_order_of_the_manager_is_kept():
    assert moves_to([4, 5], [9, 1, 7], SIZE, False) == [9, 4, 1, 5, 7]
    assert moves_to([4, 5], [9, 1], SIZE, False) == [4, 9, 5, 1]
    assert moves_to([], [], SIZE, False) == []


@pytest.mark.parametrize(
    "board",
    [
        "xxxxxx... o.o.o.o..  o.o......",
        # Two longer rows cross.
        "xxxxxx... x........ x..oooo.. x..oooo.. x..oo.... x........",
        "xxxxxxx.. ......... ooo...ooo",
    ],
)
def test_a_row_longer_than_five_is_placed_so_that_it_never_has_exactly_five(board):
    own, others = cells(board)
    assert len(others) - len(own) in (0, 1)
    assert played(moves_to(own, others, SIZE, True), True) == [set(own), set(others)]
    with pytest.raises(CommandError, match="the game is over"):
        moves_to(own, others, SIZE, False)


@pytest.mark.parametrize(
    ("own", "others", "sentence"),
    [
        ([], [1, 2], "0 own stones and 2 of the opponent"),
        ([1, 2], [3], "2 own stones and 1 of the opponent"),
        ([1, 2], [3, 2], "two stones are on the same square"),
        ([1, 1], [3, 4], "two stones are on the same square"),
        ([0, 1, 2, 3, 4], [10, 20, 30, 40, 50], "the game is over: there is a row of five"),
    ],
)
def test_stones_of_no_game_are_refused(own, others, sentence):
    for exactly_five in (False, True):
        with pytest.raises(CommandError, match=sentence):
            moves_to(own, others, SIZE, exactly_five)
