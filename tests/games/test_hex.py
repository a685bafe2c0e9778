"""Hex: recorded games, counts of another program, drawn boards, and a flood fill beside the rules."""

from __future__ import annotations

import json
from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpzero.games import Game, load_game
from ddpzero.games.core.contract_checks import check_contract
from ddpzero.judges.rules_traces import verify_rules
from tests.perft import perft
from tests.places import OWN_GAMES
from tests.recorded import recorded_games

QUICK = settings(max_examples=25, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
# How far a random game is played: plies per 100 cells.
PROGRESS = st.integers(0, 100)


# ------------------------------------------------------------------------ other programs' games and counts


@pytest.mark.parametrize(("size", "num_plies"), [(5, 6238), (11, 31681)])
def test_recorded_games_match_at_every_ply(size, num_plies):
    report = verify_rules(recorded_games(f"hex{size}"), load_game("hex", size=size))
    assert report.is_clean, report.mismatches
    assert (report.num_games, report.num_plies) == (300, num_plies)
    assert report.num_checks["legal mask"] == num_plies
    assert report.num_checks["final board"] == report.num_checks["returns"] == 300


def test_as_many_sequences_of_plies_as_recorded():
    label = "perft hex(board_size=3)"
    lines = (OWN_GAMES / "perft.txt").read_text().splitlines()
    expected = next(json.loads(line[len(label) :]) for line in lines if line.startswith(label))
    assert perft(load_game("hex", size=3), depth=len(expected)) == expected


# ------------------------------------------------------------------------------------------ drawn boards


def play(game: Game, position: np.ndarray, *names: str) -> np.ndarray:
    for name in names:
        position = game.apply_action(position, game.parse_action(name))
    return position


def played(game: Game, *names: str) -> np.ndarray:
    """The position after some actions from the start."""
    return play(game, game.initial_position(), *names)


def in_turn(first: list, second: list) -> list:
    """Entries of both lists, one of each in turn."""
    pairs = zip_longest(first, second)
    return [entry for pair in pairs for entry in pair if entry is not None]


def drawn(game: Game, drawing: str) -> np.ndarray:
    """The position of a drawing, X first player, O second; played row by row, the last stone alone may win."""
    symbols = "".join(drawing.split())
    first, second = (
        [cell for cell, symbol in enumerate(symbols) if symbol == player] for player in "XO"
    )
    assert len(first) - len(second) in (0, 1)
    position = game.initial_position()
    for cell in in_turn(first, second):
        position = game.apply_action(position, cell)
    return position


def shown(game: Game, position: np.ndarray) -> str:
    """The board in the form of the drawings here."""
    rows = game.board(position).reshape(game.board_shape)
    return " ".join("".join(".XO"[cell] for cell in row) for row in rows)


def legal_names(game: Game, position: np.ndarray) -> set[str]:
    return {game.action_name(action) for action in np.flatnonzero(game.legal_actions(position))}


def is_won_by(game: Game, position: np.ndarray, player: int) -> bool:
    if not game.is_terminal(position):
        return False
    assert not game.legal_actions(position).any()
    return game.returns(position).tolist() == [[1, -1], [-1, 1]][player]


@pytest.mark.parametrize("column", "abcd")
def test_the_first_player_wins_with_a_line_from_top_to_bottom(column):
    game = load_game("hex", size=4)
    free_column = "b" if column == "a" else "a"
    first = [f"{column}{row}" for row in (1, 4, 3, 2)]
    second = [f"{free_column}{row}" for row in (1, 2, 3)]
    *before, last = in_turn(first, second)
    position = played(game, *before)
    assert not game.is_terminal(position)
    assert is_won_by(game, play(game, position, last), 0)


@pytest.mark.parametrize("row", "1234")
def test_the_second_player_wins_with_a_line_from_left_to_right(row):
    game = load_game("hex", size=4)
    free_row = "2" if row == "1" else "1"
    first = [f"{column}{free_row}" for column in "abcd"]
    second = [f"{column}{row}" for column in "adcb"]
    *before, last = in_turn(first, second)
    position = played(game, *before)
    assert not game.is_terminal(position)
    assert is_won_by(game, play(game, position, last), 1)


def test_stones_all_along_ones_own_edge_do_not_win():
    game = load_game("hex", size=4)
    assert not game.is_terminal(drawn(game, "XXXX OO.. .... ..OO"))
    assert not game.is_terminal(drawn(game, "OX.X O..X OX.. O..."))


def test_cells_on_the_short_diagonal_are_neighbors_and_on_the_long_one_not():
    game = load_game("hex", size=3)
    assert is_won_by(game, drawn(game, "OOX .X. X.."), 0)
    assert not game.is_terminal(drawn(game, "X.. .XO .OX"))


def test_a_bridge_joins_only_once_one_of_its_two_cells_is_taken():
    game = load_game("hex", size=4)
    bridge = drawn(game, ".X.. ...O X..O X..O")
    assert not game.is_terminal(bridge)
    assert is_won_by(game, play(game, bridge, "a2"), 0)
    assert is_won_by(game, play(game, bridge, "b2"), 0)
    assert is_won_by(game, play(game, bridge, "c2", "a2", "b2"), 0)
    assert not game.is_terminal(play(game, bridge, "c2", "a2", "c1", "b2"))


def test_a_stone_between_two_winding_lines_joins_the_edges():
    game = load_game("hex", size=5)
    before = drawn(game, "X.OOO XO..X X.O.X XXXOX OOOOX")
    assert not game.is_terminal(before)
    assert is_won_by(game, play(game, before, "d3"), 0)
    assert not game.is_terminal(play(game, before, "c2"))


def test_an_occupied_cell_is_not_legal():
    game = load_game("hex", size=3)
    assert legal_names(game, played(game, "b2")) == {"a1", "b1", "c1", "a2", "c2", "a3", "b3", "c3"}


# ------------------------------------------------------------------------------------------- the pie rule


def test_a_swap_replaces_the_first_stone_by_its_mirror_image_of_the_second_player():
    game = load_game("hex", size=4, swap=True)
    position = played(game, "c1")
    assert shown(game, position) == "..X. .... .... ...."
    swapped = play(game, position, "c1")
    assert shown(game, swapped) == ".... .... O... ...."
    assert game.current_player(swapped) == 0
    assert shown(game, played(game, "b2", "b2")) == ".... .O.. .... ...."


def test_only_the_second_player_may_swap_and_only_the_first_stone():
    game = load_game("hex", size=3, swap=True)
    everywhere = {game.action_name(action) for action in range(9)}
    assert legal_names(game, game.initial_position()) == everywhere
    assert legal_names(game, played(game, "c1")) == everywhere
    assert legal_names(game, played(game, "c1", "a1")) == everywhere - {"c1", "a1"}
    assert legal_names(game, played(game, "c1", "c1")) == everywhere - {"a3"}
    with pytest.raises(ValueError, match="not legal"):
        played(game, "c1", "c1", "a3")


def test_a_swapped_stone_belongs_to_the_edges_of_its_new_owner():
    game = load_game("hex", size=3, swap=True)
    joined_with_edge = 4
    for first, stone in (("b1", "a2"), ("b3", "c2")):
        position = played(game, first, first, "b2")  # the second player moves
        plane = game.observation(position)[joined_with_edge].reshape(-1)
        assert {game.action_name(cell) for cell in np.flatnonzero(plane)} == {stone}


def test_a_game_with_a_swap_may_have_a_ply_more_than_the_board_has_cells():
    game = load_game("hex", size=2, swap=True)
    before = played(game, "a1", "a1", "b1", "b2")
    assert not game.is_terminal(before)
    assert is_won_by(game, play(game, before, "a2"), 0)
    assert game.spec.max_plies == 5
    assert load_game("hex", size=2).spec.max_plies == 4


@QUICK
@given(seed=SEEDS)
def test_after_a_swap_the_second_player_has_the_first_ones_game_on_the_mirrored_board(seed):
    game, rng = load_game("hex", size=5, swap=True), np.random.default_rng(seed)
    mirrored = np.arange(25).reshape(5, 5).T.reshape(-1)
    first = int(rng.integers(25))
    swapped = game.apply_action(game.apply_action(game.initial_position(), first), first)
    kept = game.apply_action(game.initial_position(), first)
    for cell in rng.permutation([cell for cell in range(25) if cell != first]):
        kept = game.apply_action(kept, int(cell))
        swapped = game.apply_action(swapped, int(mirrored[cell]))
        swapped_board = np.array([0, 2, 1])[game.board(swapped)]
        assert np.array_equal(swapped_board[mirrored], game.board(kept))
        assert game.is_terminal(swapped) == game.is_terminal(kept)
        if game.is_terminal(kept):
            break
    assert game.returns(swapped).tolist() == game.returns(kept)[::-1].tolist() != [0, 0]


# ------------------------------------------------------------------------------------- random games


def joined_cells(board: np.ndarray, size: int, player: int, at_far_edge: bool) -> set[int]:
    """A flood fill: the player's stones that are joined with one of the player's two edges."""
    edge = size - 1 if at_far_edge else 0
    cells = range(size**2)
    to_visit = [cell for cell in cells if divmod(cell, size)[player] == edge]
    joined: set[int] = set()
    while to_visit:
        cell = to_visit.pop()
        if board[cell] != player + 1 or cell in joined:
            continue
        joined.add(cell)
        row, column = divmod(cell, size)
        to_visit += [
            size * r + c
            for r in range(max(row - 1, 0), min(row + 2, size))
            for c in range(max(column - 1, 0), min(column + 2, size))
            if (r - row, c - column) not in ((1, 1), (-1, -1))
        ]
    return joined


@pytest.mark.parametrize(
    ("size", "swap", "num_games"),
    [
        (2, False, 20),
        (3, True, 60),
        (4, False, 20),
        (5, False, 10),
        (6, True, 10),
        (7, False, 6),
        (19, False, 1),
    ],
)
def test_random_games_match_a_flood_fill(size, swap, num_games):
    game, rng = load_game("hex", size=size, swap=swap), np.random.default_rng(size)
    num_swaps = 0
    for _ in range(num_games):
        board, position = np.zeros(size**2, dtype=np.int64), game.initial_position()
        for ply in range(game.spec.max_plies + 1):
            player = ply % 2
            joined = [
                [joined_cells(board, size, owner, at_far_edge) for at_far_edge in (False, True)]
                for owner in (0, 1)
            ]
            winners = [owner for owner in (0, 1) if joined[owner][0] & joined[owner][1]]
            planes = game.observation(position).reshape(game.num_planes, -1)
            for plane, owner in ((planes[4], player), (planes[5], 1 - player)):
                assert set(np.flatnonzero(plane)) == joined[owner][0] | joined[owner][1]
            assert np.array_equal(game.board(position), board)
            assert game.is_terminal(position) == bool(winners)
            legal = np.ones(size**2, dtype=np.bool_) if swap and ply == 1 else board == 0
            assert np.array_equal(game.legal_actions(position), legal & (not winners))
            if winners:
                assert is_won_by(game, position, winners[0])
                break
            assert game.current_player(position) == player
            action = int(rng.choice(np.flatnonzero(legal)))
            position = game.apply_action(position, action)
            row, column = divmod(action, size)
            if board[action] != 0:
                board[action] = 0
                row, column = column, row
                num_swaps += 1
            board[size * row + column] = player + 1
    assert (num_swaps > 0) == swap


@pytest.mark.parametrize(("size", "num_games"), [(2, 40), (4, 40), (11, 20)])
def test_no_game_is_drawn(size, num_games):
    game, rng = load_game("hex", size=size), np.random.default_rng(size)
    winners = set()
    for _ in range(num_games):
        position = game.initial_position()
        for cell in rng.permutation(size**2):
            position = game.apply_action(position, int(cell))
            if game.is_terminal(position):
                break
        winners.update(player for player in (0, 1) if is_won_by(game, position, player))
        assert sorted(game.returns(position)) == [-1, 1]
    assert winners == {0, 1}


def random_actions(game: Game, rng: np.random.Generator, progress: int) -> list[int]:
    """Random cells from the start on, so many per 100 cells, or until the game ends if that comes first."""
    position, actions = game.initial_position(), []
    for cell in rng.permutation(game.num_actions)[: progress * game.num_actions // 100]:
        actions.append(int(cell))
        position = game.apply_action(position, int(cell))
        if game.is_terminal(position):
            break
    return actions


def after(game: Game, actions: list[int]) -> np.ndarray:
    position = game.initial_position()
    for action in actions:
        position = game.apply_action(position, action)
    return position


@QUICK
@given(seed=SEEDS, progress=PROGRESS)
def test_the_order_of_the_stones_leaves_no_trace(seed, progress):
    game, rng = load_game("hex", size=7), np.random.default_rng(seed)
    actions = random_actions(game, rng, progress)
    if game.is_terminal(after(game, actions)):
        actions.pop()
    first, second = rng.permutation(actions[::2]), rng.permutation(actions[1::2])
    other_order = [int(cell) for cell in in_turn(first.tolist(), second.tolist())]
    assert np.array_equal(after(game, other_order), after(game, actions))


@QUICK
@given(seed=SEEDS, progress=PROGRESS)
def test_a_game_turned_by_half_is_the_turned_game(seed, progress):
    game, rng = load_game("hex", size=6), np.random.default_rng(seed)
    turned = np.arange(36)[::-1]
    assert np.array_equal(game.spec.cell_symmetries, [np.arange(36), turned])
    actions = random_actions(game, rng, progress)
    position = after(game, actions)
    image = after(game, [int(turned[action]) for action in actions])
    assert np.array_equal(game.legal_actions(image), game.legal_actions(position)[turned])
    planes = game.observation(position).reshape(game.num_planes, -1)
    assert np.array_equal(game.observation(image).reshape(game.num_planes, -1), planes[:, turned])
    assert game.is_terminal(image) == game.is_terminal(position)
    if game.is_terminal(position):
        assert game.returns(image).tolist() == game.returns(position).tolist()


@pytest.mark.parametrize(("size", "swap"), [(2, False), (3, True), (5, True), (19, False)])
def test_other_boards_keep_the_contract(size, swap):
    assert check_contract(load_game("hex", size=size, swap=swap), num_games=3, seed=1) == []


# ----------------------------------------------------------------------------- observation, names, drawings


def test_observation_tells_the_stones_the_mover_and_what_is_joined_with_an_edge():
    game = load_game("hex", size=4)
    position = played(game, "b1", "d4", "b3", "b2", "a4")
    names = {
        plane: {game.action_name(cell) for cell in np.flatnonzero(cells)}
        for plane, cells in enumerate(game.observation(position).reshape(6, -1))
    }
    everywhere = {game.action_name(cell) for cell in range(16)}
    assert names == {
        0: {"d4", "b2"},
        1: {"b1", "b3", "a4"},
        2: everywhere,
        3: set(),
        4: {"d4"},
        5: {"b1", "b3", "a4"},
    }
    assert game.observation(play(game, position, "d1"))[3].all()


def test_with_the_pie_rule_a_plane_tells_when_the_mover_may_swap():
    game = load_game("hex", size=3, swap=True)
    assert game.num_planes == 7
    positions = [played(game, *names) for names in ([], ["a1"], ["a1", "a1"], ["a1", "b1"])]
    assert [game.observation(position)[6].tolist() for position in positions] == [
        [[int(may_swap)] * 3] * 3 for may_swap in (False, True, False, False)
    ]


def test_cells_are_named_from_the_top_left():
    game = load_game("hex")
    names = ["a1", "k1", "c2", "a11", "k11"]
    assert [game.action_name(action) for action in (0, 10, 13, 110, 120)] == names
    assert [game.parse_action(name) for name in names] == [0, 10, 13, 110, 120]
    assert game.spec.action_cells.tolist() == list(range(121))
    with pytest.raises(ValueError, match="from a1 to k11"):
        game.parse_action("a12")


def test_the_board_is_drawn_as_a_rhombus_between_its_owners_edges():
    game = load_game("hex", size=3)
    position = played(game, "b1", "c2", "a3")
    assert game.render(position, game.parse_action("c2")).splitlines() == [
        "   a b c",
        "    X-X-X",
        "1 O\\ . X . \\O",
        " 2 O\\ . .[O]\\O",
        "  3 O\\ X . . \\O",
        "        X-X-X",
        "         a b c",
    ]
    assert "3 O\\[X]. . \\O" in game.render(position, game.parse_action("a3"))
    assert "[" not in game.render(position)


def test_the_numbers_of_a_large_board_leave_its_edges_straight():
    game = load_game("hex", size=10)
    rows = game.render(game.initial_position()).splitlines()
    assert rows[2] == " 1 O\\ " + ". " * 10 + "\\O"
    assert rows[11] == " " * 9 + "10 O\\ " + ". " * 10 + "\\O"


def test_a_drawing_marks_the_stone_that_a_swap_brought():
    game = load_game("hex", size=3, swap=True)
    first = game.parse_action("c1")
    drawing = game.render(played(game, "c1", "c1"), first)
    assert drawing.splitlines()[2] == "1 O\\ . . . \\O"
    assert drawing.splitlines()[4] == "  3 O\\[O]. . \\O"


@pytest.mark.parametrize("size", [1, 20])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(ValueError, match=f"game.size={size} is outside 2..19"):
        load_game("hex", size=size)
