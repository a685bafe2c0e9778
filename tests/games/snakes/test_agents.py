"""The players of snakes by rule: what each does on boards drawn here, greedy against the public one's recorded moves,
and the order of the ladder."""

from __future__ import annotations

from functools import cache
from itertools import combinations, pairwise

import numpy as np
import pytest

from ddpzero.arena.match import MatchResult
from ddpzero.arena.team_match import play_team_match
from ddpzero.arena.team_players import RulePlayer
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.games.snakes.agents import NAMES
from tests.games.snakes.harness import (
    DOWN,
    LEFT,
    RECORDED_GAMES,
    RIGHT,
    UP,
    board_2v2,
    drawn,
    placed,
    ruled,
    seems_uniform,
    snakes_game,
)


def moves(name: str, drawing: str) -> list[int]:
    """What snakes a and A do, as this agent, on the board of 2v2."""
    game = board_2v2()
    position = drawn(game, drawing)[None]
    return ruled(game, position, name, 0, new_random_states(0, 1))[0].tolist()


# ----------------------------------------------------------------------------- one agent's choice


def test_random_chooses_any_direction_for_each_snake():
    game = board_2v2()
    position = drawn(game, "cba..... ........ CBA..... ........ 012..... nop.....")
    states = new_random_states(1, 16_000)
    actions = ruled(game, position[None].repeat(16_000, axis=0), "random", 0, states)
    assert seems_uniform(4 * actions[:, 0] + actions[:, 1], 16)


@pytest.mark.parametrize("name", NAMES[1:])
def test_the_way_to_a_bean_leads_around_the_torus_but_not_for_greedy(name):
    a, _ = moves(
        name,
        """
        ........
        cba.....
        ........
        ...ABC..
        012..nop
        ..*.....
        """,
    )
    assert a == (DOWN if name == "greedy" else UP)


@pytest.mark.parametrize("name", NAMES[1:])
def test_only_nearest_runs_into_a_body_on_its_way(name):
    a, _ = moves(
        name,
        """
        ........
        ...0....
        cba1*...
        ...2....
        .....CBA
        .....nop
        """,
    )
    assert a == RIGHT if name == "nearest" else a in (UP, DOWN)


@pytest.mark.parametrize("name", NAMES[1:])
def test_nobody_turns_back_to_a_bean_behind(name):
    a, _ = moves(
        name,
        """
        ........
        ........
        cba....*
        ........
        012..CBA
        .....nop
        """,
    )
    assert a != LEFT


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("nearest", DOWN),
        ("level3", DOWN),
        ("level4", DOWN),
        ("evasion", RIGHT),
        ("greedy", UP),
        ("bfs", RIGHT),
    ],
)
def test_where_all_is_blocked_some_head_for_the_bean_and_others_straight_on(name, action):
    a, _ = moves(name, "ABC..... baD....c GFE..... H*...... ....012. ....nop.")
    assert a == action


# -------------------------------------------------------------------------------- beans of a team

# Both a and A are nearest to the bean on the right, A more so.
TWO_BEANS = """
    ........
    ........
    ..a..*A.
    ..b...B.
    ..c012C.
    ..nop..*
"""


@pytest.mark.parametrize("name", ["nearest", "level3", "evasion"])
def test_all_snakes_of_a_team_may_want_one_bean(name):
    assert moves(name, TWO_BEANS) == [RIGHT, LEFT]


@pytest.mark.parametrize(("name", "action"), [("greedy", RIGHT), ("level4", UP)])
def test_greedy_and_level4_leave_a_bean_to_the_first_snake(name, action):
    # For A the other bean is left: two rows up around the torus, or three down.
    assert moves(name, TWO_BEANS) == [RIGHT, action]


def test_bfs_leaves_a_bean_to_the_mate_that_is_nearer():
    a, mate = moves("bfs", TWO_BEANS)
    assert mate == LEFT
    assert a in (UP, LEFT)


def test_greedy_goes_up_where_no_bean_is_left():
    # One bean: it is the first snake's.
    assert moves("greedy", TWO_BEANS.replace("nop..*", "nop...")) == [RIGHT, UP]


# ------------------------------------------------------------------------------- what each is for


def test_level4_prefers_the_wider_of_two_ways():
    drawing = """
        .10.....
        .2.*....
        ..a.....
        ..b.....
        ..c.CBA.
        .....pon
    """
    assert moves("level3", drawing)[0] == UP
    assert moves("level4", drawing)[0] == RIGHT


def test_evasion_does_not_enter_a_cell_that_leads_nowhere():
    drawing = """
        .123....
        .0*456..
        ..a.....
        ..b.....
        ..c.CBA.
        ....nop.
    """
    for name in ("nearest", "level3", "level4", "greedy"):
        assert moves(name, drawing)[0] == UP
    assert moves("evasion", drawing)[0] == LEFT


def test_evasion_takes_the_way_nearest_to_a_bean():
    drawing = "..0123.. ...4.... ..a..*.. ..b..... ..c.CBA. ....nop."
    assert moves("evasion", drawing)[0] == RIGHT


def test_bfs_does_not_enter_a_pocket():
    drawing = """
        .BCDGHKL
        .A*EFIJM
        iha..PON
        jgb..QRS
        kfc.012T
        led..nop
    """
    assert moves("greedy", drawing)[0] == UP
    assert moves("bfs", drawing)[0] == RIGHT


def test_bfs_goes_to_the_bean_with_the_shortest_free_way():
    drawing = """
        ..*.....
        01234567
        ..a....8
        ..b.....
        ..c.*CBA
        .....nop
    """
    assert moves("level3", drawing)[0] != RIGHT
    assert moves("bfs", drawing)[0] == RIGHT


def test_bfs_enters_a_cell_that_an_enemy_may_enter_only_if_that_has_more_to_lose():
    long_a = "........ ........ cba*012. d....... e..CBA.. f....nop"
    assert moves("bfs", long_a)[0] != RIGHT
    long_enemy = "........ ........ cba*012. ......3. ..CBA.4. .nop..5."
    assert moves("bfs", long_enemy)[0] == RIGHT
    assert moves("greedy", long_a)[0] == moves("greedy", long_enemy)[0] == RIGHT


def test_bfs_does_not_enter_the_cell_that_a_mate_enters():
    a, mate = moves("bfs", "........ ........ cba*ABC. ........ 012..... nop.....")
    assert a == RIGHT
    assert mate != LEFT
    assert moves("evasion", "........ ........ cba*ABC. ........ 012..... nop.....") == [
        RIGHT,
        LEFT,
    ]


# ------------------------------------------------------------------------------ the public greedy


def test_greedy_moves_as_the_public_one_did_in_recorded_games():
    game = snakes_game()
    with np.load(RECORDED_GAMES / "snakes3v3_dev.npz", allow_pickle=False) as archive:
        traces = {name: archive[name] for name in archive.files}
    greedy = traces["policy_names"].tolist().index("greedy")
    num_moves = 0
    for team in (0, 1):
        by_greedy = np.flatnonzero(traces["policy"][:, team] == greedy)
        positions = np.concatenate(
            [positions_before(traces, game_index) for game_index in by_greedy.tolist()]
        )
        states = new_random_states(0, len(positions))
        made = traces["action"][by_greedy, :, 3 * team : 3 * team + 3].reshape(-1, 3)
        assert np.array_equal(ruled(game, positions, "greedy", team, states), made)
        num_moves += made.size
    assert num_moves == 84_000


# ------------------------------------------------------------------------------------- the ladder


@cache
def match(name_a: str, name_b: str) -> MatchResult:
    game = snakes_game()
    return play_team_match(
        RulePlayer(game, name_a), RulePlayer(game, name_b), game, num_games=600, seed=1
    )


def result(name_a: str, name_b: str) -> tuple[float, float]:
    """The mean result of A, and the variance of that mean; the two games of a pair are not independent."""
    of_pairs = match(name_a, name_b).returns.mean(axis=1)
    return float(of_pairs.mean()), float(of_pairs.var() / len(of_pairs))


def test_every_agent_beats_the_one_before_it():
    for weaker, stronger in pairwise(NAMES):
        mean, variance = result(stronger, weaker)
        # These three are so close that only tens of thousands of games tell them apart.
        is_clear = not {weaker, stronger} <= {"level3", "evasion", "greedy"}
        assert mean > (4 if is_clear else -2) * variance**0.5, (weaker, stronger)


def test_no_agent_has_worse_results_against_all_others_than_the_one_before_it():
    means, variances = np.zeros((2, len(NAMES)))
    for weaker, stronger in combinations(range(len(NAMES)), 2):
        mean, variance = result(NAMES[stronger], NAMES[weaker])
        means[[weaker, stronger]] += [-mean, mean]
        variances[[weaker, stronger]] += variance
    assert (np.diff(means) > -2 * (variances[1:] + variances[:-1]) ** 0.5).all(), means


# --------------------------------------------------------------------------------------- helpers


def positions_before(traces: dict[str, np.ndarray], game_index: int) -> np.ndarray:
    """`[T, P]`: the positions before every step of a recorded game, all of whose 200 steps were played."""
    game = snakes_game()
    assert (traces["n_steps"] == 200).all()
    first_lengths, first_cells = traces["init_len"], traces["init_body_cells"]
    lengths, cells = traces["length"], traces["body_cells"]
    first_begin = int(first_lengths[:game_index].sum(dtype=np.int64))
    begin = int(lengths[:game_index].sum(dtype=np.int64))
    sizes = np.concatenate([first_lengths[game_index], lengths[game_index].ravel()])
    bodies = np.split(
        np.concatenate(
            [
                first_cells[first_begin:][: int(first_lengths[game_index].sum())],
                cells[begin:][: int(lengths[game_index].sum(dtype=np.int64))],
            ]
        ),
        np.cumsum(sizes, dtype=np.int64)[:-1],
    )
    headings = np.concatenate([traces["init_dir"][game_index][None], traces["dir"][game_index]])
    beans = np.concatenate([traces["init_beans"][game_index][None], traces["beans"][game_index]])
    assert (traces["n_beans"][game_index] == 5).all()
    return np.array(
        [
            placed(game, bodies[6 * step :][:6], headings[step], beans[step], step)
            for step in range(200)
        ]
    )
