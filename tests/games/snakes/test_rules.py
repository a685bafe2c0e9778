"""The rules of snakes, quirk by quirk, on boards drawn here. Their random draws: test_snake_draws.py; whole recorded
games: tests/judges/test_snake_traces.py."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.games import TeamGame
from ddpzero.games.core.team_contract import GOING_ON, TERMINATED, TRUNCATED
from ddpzero.games.core.team_lockstep import points_of
from tests.games.snakes.harness import (
    DOWN,
    LEFT,
    RIGHT,
    UP,
    board_1v1,
    board_2v2,
    drawn,
    lines,
    look_at,
    placed,
    played,
    ruled,
    snakes_game,
    started,
    stepped,
)


def board_of_beans() -> TeamGame:
    """With room for 30 beans: they are the walls where it matters which cells are free."""
    return board_1v1(beans=30)


# ---------------------------------------------------------------------------------------- moves


def test_a_snake_moves_and_its_tail_leaves():
    game = board_1v1()
    position = drawn(
        game,
        """
        cba.....
        ........
        ........
        ......A.
        ......B.
        ......C.
        """,
    )
    after = played(game, position, [DOWN, LEFT])
    assert after.drawing == lines(
        """
        .cb.....
        ..a.....
        ........
        .....AB.
        ......C.
        ........
        """
    )
    assert (after.headings, after.rewards, after.status) == ([DOWN, LEFT], [0, 0], GOING_ON)


def test_the_board_is_a_torus():
    game = board_2v2()
    position = drawn(
        game,
        """
        ..a.....
        ..b.....
        ..c..pon
        .....2..
        ABC..1..
        .....0..
        """,
    )
    after = played(game, position, [UP, LEFT, DOWN, RIGHT])
    assert after.drawing == lines(
        """
        ..b..0..
        ..c.....
        n.....po
        ........
        BC...2.A
        ..a..1..
        """
    )


def test_the_last_heading_is_the_one_before_the_step():
    game = board_1v1()
    position = drawn(game, "cba..... ........ ........ ......A. ......B. ......C.")
    after = played(game, position, [DOWN, LEFT])
    assert after.last_headings == [RIGHT, UP]
    assert played(game, after.position, [DOWN, UP]).last_headings == [DOWN, LEFT]


# ---------------------------------------------------------------------------------------- beans


def test_who_eats_a_bean_is_longer_at_once():
    game = board_1v1()
    position = drawn(
        game,
        """
        cba*....
        .....*..
        ........
        ......A.
        ......B.
        *.....C.
        """,
    )
    after = played(game, position, [RIGHT, UP])
    assert after.bodies[0] == [3, 2, 1, 0]
    assert (after.ate, after.rewards, after.beans) == ([1, 0], [1, 0], [13, 40])
    after = played(game, after.position, [RIGHT, UP])
    assert after.bodies[0] == [4, 3, 2, 1]
    assert (after.ate, after.rewards) == ([0, 0], [0, 0])


def test_a_bean_goes_to_the_lower_index_of_two_snakes_that_reach_it():
    game = board_1v1()
    position = drawn(game, "CBA*abc. ........ ........ ........ ........ ........")
    after = played(game, position, [LEFT, RIGHT])
    assert (after.ate, after.died, after.beans) == ([1, 0], [1, 1], [])
    assert after.rewards == [1 + 3 - 4, 3 - 3]


def test_beans_are_listed_by_age():
    game = board_1v1()
    bodies = [[2, 1, 0], [30, 38, 46]]
    position = placed(game, bodies, [RIGHT, UP], beans=[47, 3, 16, 20])
    after = played(game, position, [RIGHT, UP], new_beans=[45, 7])
    assert after.beans == [47, 16, 20, 45, 7]


# --------------------------------------------------------------------------------------- deaths


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


@pytest.mark.parametrize("is_eater_first", [False, True])
def test_the_tail_of_a_snake_that_eats_stays_in_the_way(is_eater_first):
    game = board_1v1()
    other, eater = int(is_eater_first), 1 - int(is_eater_first)
    drawing = "cba..... ..C..... ..BA*... ........ ........ ........"
    directions = [RIGHT, RIGHT]
    directions[other] = DOWN
    position = drawn(game, drawing.swapcase() if is_eater_first else drawing)
    after = played(game, position, directions)
    assert (after.died[other], after.died[eater]) == (1, 0)
    assert after.bodies[eater] == [20, 19, 18, 10]


def test_heads_that_meet_die_all():
    game = board_2v2()
    position = drawn(
        game,
        """
        cba.ABC.
        ...0....
        ...1....
        ...2....
        ........
        nop.....
        """,
    )
    assert played(game, position, [RIGHT, LEFT, UP, LEFT]).died == [1, 1, 1, 0]


def test_snakes_that_swap_places_die_both():
    game = board_1v1()
    position = drawn(game, "cbaABC.. ........ ........ ........ ........ ........")
    assert played(game, position, [RIGHT, LEFT]).died == [1, 1]


def test_who_runs_into_a_body_dies_and_the_body_does_not():
    game = board_1v1()
    position = drawn(game, "...A.... cbaB.... ...C.... ...D.... ........ ........")
    after = played(game, position, [RIGHT, UP])
    assert after.died == [1, 0]
    assert after.bodies[1] == [43, 3, 11, 19]


def test_mates_collide_like_others():
    game = board_2v2()
    position = drawn(game, "...A.... cbaB.... ...C.... 0....... 1....n.. 2....op.")
    assert played(game, position, [RIGHT, UP, UP, UP]).died == [1, 0, 0, 0]


def test_a_snake_that_runs_into_itself_dies():
    game = board_1v1()
    position = drawn(game, ".cde.... .ba..... ........ ......A. ......B. ......C.")
    assert played(game, position, [UP, UP]).died == [1, 0]


@pytest.mark.parametrize(
    ("drawing", "reward"),
    [
        ("cbaB.... ...C.... ...D.... ........ ........ ...A....", 3 - 3),
        ("cbaB.... defC.... ...D.... ........ ........ ...A....", 3 - 6),
        ("cba*ABC. ........ ........ ........ ........ ........", 1 + 3 - 4),
        ("cba*ABC. def..... ........ ........ ........ ........", 1 + 3 - 7),
    ],
    ids=["short", "long", "short, eats", "long, eats"],
)
def test_a_death_costs_what_the_snake_had_grown_and_a_bean_in_that_step_counts(drawing, reward):
    game = board_1v1()
    position = drawn(game, drawing)
    after = played(game, position, [RIGHT, look_at(game, position).headings[1]])
    assert (after.died[0], after.rewards[0]) == (1, reward)


def test_all_dead_bodies_are_gone_before_the_first_of_them_comes_back_and_leave_no_beans():
    game = board_1v1()
    position = drawn(game, "CBA.abc. FED..d.. .....e.. .....f.. *....... ........")
    after = played(game, position, [LEFT, RIGHT])
    assert after.died == [1, 1]
    assert after.drawing == lines(
        """
        baBA....
        c.C.....
        ........
        ........
        *.......
        ........
        """
    )


# ------------------------------------------------------------------------------------- respawns


def died_beside_the_corner(beans: set[int]) -> np.ndarray:
    """Snake 0 is about to die, with this row of beans; nothing else is near the corner, cell 0."""
    bodies = [[28, 27, 26], [21, 29, 37]]
    return placed(board_of_beans(), bodies, [RIGHT, UP], sorted(beans))


_AROUND_THE_CORNER = {"right": 1, "down": 8, "up": 40, "left": 7}


@pytest.mark.parametrize(
    ("free", "body", "heading"),
    [
        # The first cell is the corner between the two others: it changes places with the second.
        ("right down up left", [1, 0, 8], RIGHT),
        ("right down", [1, 0, 8], RIGHT),
        ("right up", [1, 0, 40], RIGHT),
        ("down left", [8, 0, 7], DOWN),
        ("up left", [40, 0, 7], DOWN),  # across the edge: it faces its own neck
        # Three in a row, their middle first.
        ("right left", [0, 1, 7], LEFT),
        ("down up", [0, 8, 40], UP),
        # One way only: the third cell is a neighbor of the second. The start is found again, and passed over.
        ("right", [0, 1, 2], LEFT),
        ("down", [0, 8, 9], UP),
        ("up", [0, 40, 41], UP),  # across the edge
        ("left", [0, 7, 15], LEFT),  # across the edge
    ],
)
def test_the_dead_come_back_where_a_search_right_down_up_left_finds_three_cells(
    free, body, heading
):
    walls = {cell for name, cell in _AROUND_THE_CORNER.items() if name not in free.split()}
    after = played(board_of_beans(), died_beside_the_corner(walls), [RIGHT, UP])
    assert after.died == [1, 0]
    assert after.bodies[0] == body
    assert (after.headings[0], after.last_headings[0]) == (heading, RIGHT)


def test_a_snake_that_faces_its_own_neck_across_the_edge_dies_straight_on():
    game = board_1v1()
    position = placed(game, [[0, 7, 15], [28, 36, 44]], [LEFT, UP], [])
    assert played(game, position, [LEFT, UP]).died == [1, 0]
    assert played(game, position, [UP, UP]).died == [0, 0]


def test_the_search_begins_with_the_first_free_cell():
    after = played(board_of_beans(), died_beside_the_corner({0, 1}), [RIGHT, UP])
    assert after.bodies[0] == [3, 2, 10]


def test_a_search_that_finds_less_than_three_cells_is_followed_by_another():
    game = board_of_beans()
    position = drawn(
        game,
        """
        .*..*..*
        *.**....
        ......A.
        ...cbaB.
        ......C.
        *.**....
        """,
    )
    after = played(game, position, [RIGHT, UP])
    assert after.drawing == lines(
        """
        .*..*ba*
        *.**.cA.
        ......B.
        ......C.
        ........
        *.**....
        """
    )


def test_the_dead_come_back_in_index_order_and_each_sees_those_before():
    game = board_2v2()
    position = drawn(
        game,
        """
        ........
        ........
        ........
        CBA.012.
        ...a....
        ..cb.nop
        """,
    )
    after = played(game, position, [UP, RIGHT, LEFT, UP])
    assert after.died[:3] == [1, 1, 1]
    assert after.bodies[:3] == [[1, 0, 8], [3, 2, 10], [5, 4, 12]]


def test_without_room_a_dead_snake_stays_away_and_the_game_is_over():
    game = board_of_beans()
    position = drawn(
        game,
        """
        cbaEDCBA
        ***FGHIJ
        ***ONMLK
        ********
        ********
        ********
        """,
    )
    after = played(game, position, [RIGHT, RIGHT])
    assert after.drawing == lines(
        """
        A..FEDCB
        ***GHIJK
        ***.ONML
        ********
        ********
        ********
        """
    )
    assert (after.died, after.rewards) == ([1, 0], [0, 0])
    # 30 beans and 15 cells are not more than the board has.
    assert after.status == TERMINATED


# -------------------------------------------------------------------------------------- the end


@pytest.mark.parametrize(("length", "status"), [(39, GOING_ON), (40, TERMINATED)])
@pytest.mark.parametrize("num_steps", [0, 49])
def test_a_game_is_over_when_bodies_and_five_beans_are_more_than_the_board(
    length, status, num_steps
):
    game = board_1v1()
    serpent = [
        8 * row + column
        for row in range(1, 6)
        for column in (range(7, -1, -1) if row % 2 else range(8))
    ]
    bodies = [[2, 1, 0], serpent[:length]]
    position = placed(game, bodies, [RIGHT, UP], [3], num_steps)
    after = played(game, position, [RIGHT, UP])
    assert after.died == [0, 0]
    assert sum(map(len, after.bodies)) == 4 + length
    assert after.status == (TRUNCATED if num_steps == 49 and status == GOING_ON else status)


@pytest.mark.parametrize(("num_steps", "status"), [(0, GOING_ON), (48, GOING_ON), (49, TRUNCATED)])
def test_a_game_has_so_many_steps(num_steps, status):
    game = board_1v1()
    drawing = "cba..... ........ ........ ......A. ......B. ......C."
    position = drawn(game, drawing, num_steps=num_steps)
    assert played(game, position, [RIGHT, UP]).status == status


# --------------------------------------------------------------------------------- whole games


def test_rewards_add_up_to_the_points_and_games_have_200_steps():
    game = snakes_game()
    positions, random_states = started(game, num_games=40, seed=5)
    total = np.zeros((40, 6))
    for num_steps in range(200):
        assert all(look_at(game, position).status == GOING_ON for position in positions)
        actions = [
            ruled(game, positions, name, team, random_states)
            for team, name in enumerate(("greedy", "level3"))
        ]
        rewards, statuses = stepped(game, positions, np.concatenate(actions, 1), random_states)
        total += rewards
        if num_steps % 10 == 0:
            for position in positions:
                look_at(game, position).assert_consistent()
    assert (statuses == TRUNCATED).all()
    lengths = np.array([[len(b) for b in look_at(game, p).bodies] for p in positions])
    assert np.array_equal(total, lengths - 3)
    assert lengths.max() > 10 and lengths.min() == 3
    points = np.zeros((40, 2))
    points_of(game.rules, positions, points)
    assert np.array_equal(points, total.reshape(40, 2, 3).sum(2))


def test_where_bodies_are_is_the_same_in_lists_and_per_cell_on_a_crowded_board():
    game = board_of_beans()
    positions, random_states = started(game, num_games=30, seed=6)
    rng = np.random.default_rng(0)
    num_crowded = 0
    for _ in range(50):
        stepped(game, positions, rng.integers(4, size=(30, 2)), random_states)
        for position in positions:
            seen = look_at(game, position)
            seen.assert_consistent()
            assert len(set(seen.beans)) == len(seen.beans)
            assert not seen.covered[seen.beans].any()
            num_free = int(((seen.covered == 0) & (seen.has_bean == 0)).sum())
            assert len(seen.beans) == 30 or num_free == 0
            num_crowded += num_free < 10
    assert num_crowded > 50


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rows": 2}, "game.rows=2 is outside 3..64"),
        ({"columns": 33}, "game.columns=33 is outside 3..32"),
        ({"snakes": 0}, "game.snakes=0 is outside"),
        ({"beans": 65}, "game.beans=65 is outside"),
        ({"steps": 0}, "game.steps=0 is outside"),
        ({"snakes": 5}, "game.snakes=5 cannot be shared out to game.teams=2"),
        ({"rows": 6, "columns": 9}, "game.rows=6 by game.columns=9 is too small"),
    ],
)
def test_a_board_that_cannot_be_played_on_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        snakes_game(**parameters)
