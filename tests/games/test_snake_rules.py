"""The rules of snakes, quirk by quirk, on boards drawn here, and their random draws. Against whole recorded games:
tests/judges/test_snake_traces.py."""

from __future__ import annotations

from ddpzero.games import load_any_game
from tests.games.snake_harness import (
    DOWN,
    LEFT,
    RIGHT,
    UP,
    board_1v1,
    drawn,
    played,
)

VARIANTS = [
    {},
    {"rows": 6, "columns": 8, "snakes": 2, "steps": 50},
    {"snakes": 5, "teams": 5},
    {"rows": 10, "columns": 9, "snakes": 8, "beans": 18, "steps": 400},  # crowded
]


# ---------------------------------------------------------------------------------------- moves


def test_a_snake_moves_and_its_tail_leaves():
    game = board_1v1()
    position = drawn(game, "cba..... ........ ........ ......A. ......B. ......C.")
    after = played(game, position, [DOWN, LEFT])
    assert after.bodies == [[10, 2, 1], [29, 30, 38]]
    assert after.headings == [DOWN, LEFT]
    assert after.rewards == [0, 0]


def test_the_board_is_a_torus():
    game = board_1v1()
    position = drawn(game, ".....cba ........ ........ A....... B....... C.......")
    after = played(game, position, [RIGHT, LEFT])
    assert after.bodies == [[0, 7, 6], [31, 24, 32]]
    position = drawn(game, "a.....C. b.....B. c.....A. ........ ........ ........")
    assert played(game, position, [UP, DOWN]).bodies[0] == [40, 0, 8]


def test_who_eats_a_bean_is_longer_at_once():
    game = board_1v1()
    position = drawn(game, "cba*.... ........ ........ ......A. ......B. ......C.")
    after = played(game, position, [RIGHT, UP])
    assert after.bodies[0] == [3, 2, 1, 0]
    assert (after.ate, after.rewards, after.beans) == ([1, 0], [1, 0], [])


def test_a_bean_goes_to_the_lower_index_of_two_snakes_that_reach_it():
    game = board_1v1()
    position = drawn(game, "cba*ABC. ........ ........ ........ ........ ........")
    after = played(game, position, [RIGHT, LEFT])
    assert after.died == [1, 1]
    assert after.ate == [1, 0]
    assert after.rewards == [0, 0]  # 1 and 3 - 4; 3 - 3


def test_a_snake_may_enter_the_cell_that_a_tail_leaves_in_the_same_step():
    game = board_1v1()
    position = drawn(game, "cba..... ..C..... ..BA.... ........ ........ ........")
    assert played(game, position, [DOWN, RIGHT]).died == [0, 0]
    position = drawn(game, "CBA..... ..c..... ..ba.... ........ ........ ........")
    assert played(game, position, [RIGHT, DOWN]).died == [0, 0]


def test_a_snake_may_enter_the_cell_that_its_own_tail_leaves():
    game = board_1v1()
    position = drawn(game, "ba...... cd...... ........ ......A. ......B. ......C.")
    after = played(game, position, [DOWN, UP])
    assert after.died == [0, 0]
    assert after.bodies[0] == [9, 1, 0, 8]


def test_the_tail_of_a_snake_that_eats_stays_in_the_way():
    game = board_1v1()
    position = drawn(game, "cba..... ..C..... ..BA*... ........ ........ ........")
    after = played(game, position, [DOWN, RIGHT])
    assert after.died == [1, 0]
    assert after.bodies[1] == [20, 19, 18, 10]


def test_heads_that_meet_die_all():
    game = load_any_game("snakes", rows=6, columns=8, snakes=3, teams=3)
    position = drawn(game, "cba.ABC. ...0.... ...1.... ...2.... ........ ........")
    assert played(game, position, [RIGHT, LEFT, UP]).died == [1, 1, 1]


def test_snakes_that_swap_places_die_both():
    game = board_1v1()
    position = drawn(game, "cbaABC.. ........ ........ ........ ........ ........")
    assert played(game, position, [RIGHT, LEFT]).died == [1, 1]


def test_who_runs_into_a_body_dies_and_the_body_does_not():
    game = board_1v1()
    position = drawn(game, "..A..... cbB..... ..C..... ..D..... ........ ........", [RIGHT, UP])
    position = (
        drawn(
            game,
            "..A..... cba..... ..C..... ........ ........ ........".replace("C", "."),
            [RIGHT, UP],
        )
        if False
        else drawn(game, "...A.... cbaB.... ...C.... ...D.... ........ ........")
    )
    after = played(game, position, [RIGHT, UP])
    assert after.died == [1, 0]
    assert after.bodies[1] == [43, 3, 11, 19]


def test_mates_collide_like_others():
    game = load_any_game("snakes", rows=6, columns=8, snakes=2, teams=1)
    position = drawn(game, "...A.... cbaB.... ...C.... ...D.... ........ ........")
    assert played(game, position, [RIGHT, UP]).died == [1, 0]


def test_a_snake_that_runs_into_itself_dies():
    game = board_1v1()
    position = drawn(game, "cba..... de...... ........ ......A. ......B. ......C.", [RIGHT, UP])
    position = drawn(game, ".cde.... .ba..... ........ ......A. ......B. ......C.")
    after = played(game, position, [UP, UP])
    assert after.died == [1, 0]
    assert after.rewards == [3 - 5, 0]
