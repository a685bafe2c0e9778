"""Othello: recorded games, counts of another program, drawn boards, and a slow implementation beside the fast one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpzero.games import Game, load_game
from ddpzero.games.core import single
from ddpzero.games.core.contract_checks import check_contract
from ddpzero.games.shared.boards import rectangle_symmetries
from ddpzero.judges.rules_traces import verify_rules
from tests.perft import perft, unique_positions
from tests.places import OWN_GAMES
from tests.recorded import recorded_games

QUICK = settings(max_examples=25, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
# How far a random game is played: plies per 100 cells.
PROGRESS = st.integers(0, 105)


# ------------------------------------------------------------------------ other programs' games and counts


def test_recorded_games_match_at_every_ply():
    report = verify_rules(recorded_games("othello"), load_game("othello"))
    assert report.is_clean, report.mismatches
    assert (report.num_games, report.num_plies) == (300, 18128)
    assert report.num_checks["legal mask"] == 18128
    assert report.num_checks["score"] == report.num_checks["final board"] == 300
    assert report.not_checked == []


def recorded_counts(label: str) -> list[int]:
    lines = (OWN_GAMES / "perft.txt").read_text().splitlines()
    return next(json.loads(line[len(label) :]) for line in lines if line.startswith(f"{label} ["))


def test_as_many_sequences_of_plies_as_recorded():
    expected = [*recorded_counts("perft othello"), 390216]
    assert perft(load_game("othello"), depth=8) == expected


def test_as_many_positions_as_recorded():
    expected = recorded_counts("unique othello(board+side)")
    assert unique_positions(load_game("othello"), depth=len(expected) - 1) == expected


# ------------------------------------------------------------------------------------------ drawn boards


def drawn(game: Game, drawing: str, mover: str) -> np.ndarray:
    """The position of a drawing: X first player, O second; `mover` is one of the two."""
    cells = np.array([".XO".index(symbol) for symbol in "".join(drawing.split())])
    return position_of(game, cells, "XO".index(mover))


def position_of(game: Game, cells: np.ndarray, mover: int) -> np.ndarray:
    """The position of a board, 0 empty, 1 first player, 2 second player."""
    size = game.parameters.size
    discs = (cells.reshape(size, size) == np.array([1, 2])[:, None, None]) << np.arange(size)
    position = game.initial_position()
    position[: 2 * size] = discs.sum(axis=2).reshape(-1)
    # The other one passes to `mover`: from here on everything is the rules' own work.
    position[3 * size] = 1 - mover
    single.apply_action(game.rules, position, game.num_actions - 1)
    return position


def play(game: Game, position: np.ndarray, *names: str) -> np.ndarray:
    for name in names:
        position = game.apply_action(position, game.parse_action(name))
    return position


def legal_names(game: Game, position: np.ndarray) -> set[str]:
    return {game.action_name(action) for action in np.flatnonzero(game.legal_actions(position))}


def shown(game: Game, position: np.ndarray) -> str:
    """The board in the form of the drawings here."""
    rows = game.board(position).reshape(game.board_shape)
    return "\n".join("".join(".XO"[cell] for cell in row) for row in rows)


def lines(drawing: str) -> str:
    return "\n".join(drawing.split())


@pytest.mark.parametrize(
    ("size", "first_moves"),
    [(4, "b1 a2 d3 c4"), (8, "d3 c4 f5 e6"), (10, "e4 d5 g6 f7"), (16, "h7 g8 j9 i10")],
)
def test_the_first_player_starts_with_four_moves_around_the_middle(size, first_moves):
    game = load_game("othello", size=size)
    position = game.initial_position()
    assert game.current_player(position) == 0
    assert legal_names(game, position) == set(first_moves.split())
    middle = game.board(position).reshape(size, size)[size // 2 - 1 :, size // 2 - 1 :][:2, :2]
    assert middle.tolist() == [[2, 1], [1, 2]]
    assert np.count_nonzero(game.board(position)) == 4


def test_a_disc_turns_over_lines_in_all_eight_directions():
    game = load_game("othello")
    before = """
        X..X..X.
        .O.O.O..
        ..OOO...
        XOO.OOOX
        ..OOO...
        .O.O.O..
        X..O..X.
        ...X...."""
    after = """
        X..X..X.
        .X.X.X..
        ..XXX...
        XXXXXXXX
        ..XXX...
        .X.X.X..
        X..X..X.
        ...X...."""
    position = play(game, drawn(game, before, "X"), "d4")
    assert shown(game, position) == lines(after)


def test_a_line_that_ends_at_a_gap_or_at_the_edge_is_not_turned_over():
    game = load_game("othello")
    before = """
        ...O....
        ...O....
        ...O....
        XO..OO.X
        ........
        ........
        ........
        ........"""
    position = drawn(game, before, "X")
    assert "d4" not in legal_names(game, position)
    position = drawn(game, before.replace("XO..OO.X", "XOO.OO.X"), "X")
    after = """
        ...O....
        ...O....
        ...O....
        XXXXOO.X
        ........
        ........
        ........
        ........"""
    assert shown(game, play(game, position, "d4")) == lines(after)


def test_a_line_does_not_go_on_behind_the_edge():
    game = load_game("othello", size=4)
    # Row by row the discs at d1, a2 and b2 follow each other; so do those at b2, a3 and d3 on a diagonal.
    position = drawn(game, "...O XO.. .... ....", "X")
    assert legal_names(game, position) == {"c2"}
    assert shown(game, play(game, position, "c2")) == lines("...O XXX. .... ....")
    position = drawn(game, "..OX O... .... ....", "X")
    assert legal_names(game, position) == {"b1"}


def test_lines_from_edge_to_edge_turn_over_on_the_largest_board():
    game = load_game("othello", size=16)
    cells = np.zeros((16, 16), dtype=np.int64)
    cells[0, 1:15], cells[0, 15] = 2, 1
    cells[1:15, 0], cells[15, 0] = 2, 1
    diagonal = np.arange(1, 15)
    cells[diagonal, diagonal], cells[15, 15] = 2, 1
    position = play(game, position_of(game, cells.reshape(-1), 0), "a1")
    board = game.board(position).reshape(16, 16)
    assert (board[0] == 1).all() and (board[:, 0] == 1).all() and (board.diagonal() == 1).all()
    assert np.count_nonzero(board) == 46

    last = np.zeros((16, 16), dtype=np.int64)
    last[15] = [1, *[2] * 14, 0]
    last[:, 15] = [1, *[2] * 14, 0]
    last[diagonal, diagonal], last[0, 0] = 2, 1
    position = play(game, position_of(game, last.reshape(-1), 0), "p16")
    board = game.board(position).reshape(16, 16)
    assert (board[15] == 1).all() and (board[:, 15] == 1).all() and (board.diagonal() == 1).all()


def test_who_can_place_no_disc_must_pass():
    game = load_game("othello", size=4)
    # The second player's line at the bottom can be outflanked, the first player's corner cannot.
    before = """
        XX..
        XX..
        ....
        OOX."""
    assert legal_names(game, drawn(game, before, "X")) == {"pass"}
    position = drawn(game, before, "O")
    assert legal_names(game, position) == {"d4"}


def test_a_pass_turns_nothing_over_and_gives_the_move_to_the_other_player():
    game = load_game("othello", size=4)
    board = "XX.. XX.. .... OOX."
    position = drawn(game, board, "X")
    passed = play(game, position, "pass")
    assert game.current_player(passed) == 1
    assert shown(game, passed) == lines(board)
    assert legal_names(game, passed) == {"d4"}
    with pytest.raises(ValueError, match="not legal"):
        play(game, passed, "pass")


# ------------------------------------------------------------------------------------------- how games end


def end_of(game: Game, names: str) -> np.ndarray:
    """The position after these actions, none of which but the last ends the game."""
    position = game.initial_position()
    for name in names.split():
        assert not game.is_terminal(position)
        position = play(game, position, name)
    assert game.is_terminal(position)
    assert not game.legal_actions(position).any()
    return position


def test_the_game_ends_with_empty_cells_when_neither_can_place_a_disc():
    game = load_game("othello", size=4)
    position = end_of(game, "d3 d4 b1 d2 c4 b4 pass a2")
    assert shown(game, position) == lines(".X.. OOOO .OOO .OOO")
    assert game.returns(position).tolist() == [-1, 1]
    assert game.score(position) == 1 - 10


def test_the_shortest_game_leaves_the_second_player_without_discs_after_nine_plies():
    game = load_game("othello")
    position = end_of(game, "e6 f4 e3 f6 g5 d6 e7 f5 c5")
    assert not (game.board(position) == 2).any()
    assert game.returns(position).tolist() == [1, -1]
    assert game.score(position) == 13


@pytest.mark.parametrize(
    ("names", "num_empty"),
    [
        ("c4 b4 a3 d2 c1 b1 a1 d1 a2 d4 d3 a4", 0),
        ("a2 a3 d4 d1 d2 d3 a4 c1 pass a1 b1", 2),
    ],
)
def test_as_many_discs_of_both_are_a_draw(names, num_empty):
    game = load_game("othello", size=4)
    position = end_of(game, names)
    assert np.bincount(game.board(position)).tolist() == [num_empty, *[(16 - num_empty) // 2] * 2]
    assert game.returns(position).tolist() == [0, 0]
    assert game.score(position) == 0


@pytest.mark.parametrize(
    ("drawing", "score", "returns"),
    [
        ("XXXX XXXX XOOO OOOO", 2, [1, -1]),
        ("XXXX XXXO OOOO OOOO", -2, [-1, 1]),
        ("XXXX XXXX OOOO OOOO", 0, [0, 0]),
    ],
)
def test_a_full_board_is_won_by_the_majority(drawing, score, returns):
    game = load_game("othello", size=4)
    position = drawn(game, drawing, "X")
    assert game.is_terminal(position)
    assert game.score(position) == score
    assert game.returns(position).tolist() == returns


@pytest.mark.parametrize(("size", "num_games"), [(4, 60), (8, 20), (10, 5)])
def test_the_score_is_the_sum_of_the_ownership_and_its_sign_the_result(size, num_games):
    game = load_game("othello", size=size)
    rng = np.random.default_rng(size)
    for _ in range(num_games):
        position = game.initial_position()
        while not game.is_terminal(position):
            position = game.apply_action(position, chosen(game, position, rng))
        owners = game.ownership(position)
        assert owners.tolist() == [(0, 1, -1)[cell] for cell in game.board(position)]
        assert game.score(position) == owners.sum()
        assert game.returns(position).tolist() == [np.sign(owners.sum()), -np.sign(owners.sum())]


# --------------------------------------------------------------------------------- a slow implementation


class SlowOthello:
    """The rules word by word, a cell at a time."""

    def __init__(self, size: int):
        half = size // 2
        self.size = size
        self.discs = {
            (half - 1, half - 1): 1,
            (half, half): 1,
            (half - 1, half): 0,
            (half, half - 1): 0,
        }
        self.mover = 0

    def turned_by(self, row: int, column: int, player: int) -> list[tuple[int, int]]:
        if (row, column) in self.discs:
            return []
        turned = []
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                line, r, c = [], row + down, column + right
                while self.discs.get((r, c)) == 1 - player:
                    line.append((r, c))
                    r, c = r + down, c + right
                if self.discs.get((r, c)) == player:
                    turned += line
        return turned

    def placements(self, player: int) -> list[int]:
        cells = ((row, column) for row in range(self.size) for column in range(self.size))
        return [self.size * r + c for r, c in cells if self.turned_by(r, c, player)]

    def legal(self) -> list[int]:
        if self.is_over():
            return []
        return self.placements(self.mover) or [self.size**2]

    def is_over(self) -> bool:
        return not self.placements(0) and not self.placements(1)

    def play(self, action: int) -> None:
        if action < self.size**2:
            row, column = divmod(action, self.size)
            for cell in [*self.turned_by(row, column, self.mover), (row, column)]:
                self.discs[cell] = self.mover
        self.mover = 1 - self.mover

    def board(self) -> list[int]:
        cells = ((row, column) for row in range(self.size) for column in range(self.size))
        return [self.discs.get(cell, -1) + 1 for cell in cells]


@pytest.mark.parametrize(("size", "num_games"), [(4, 40), (6, 8), (8, 4), (10, 2), (16, 1)])
def test_random_games_match_a_slow_implementation(size, num_games):
    game = load_game("othello", size=size)
    rng = np.random.default_rng(size)
    num_passes = 0
    for _ in range(num_games):
        slow, position = SlowOthello(size), game.initial_position()
        for _ in range(game.spec.max_plies + 1):
            legal = slow.legal()
            assert np.flatnonzero(game.legal_actions(position)).tolist() == legal
            assert game.board(position).tolist() == slow.board()
            assert game.is_terminal(position) == (not legal)
            if not legal:
                break
            assert game.current_player(position) == slow.mover
            action = int(rng.choice(legal))
            num_passes += action == size**2
            slow.play(action)
            position = game.apply_action(position, action)
        difference = slow.board().count(1) - slow.board().count(2)
        assert game.score(position) == difference
        assert game.returns(position).tolist() == [np.sign(difference), -np.sign(difference)]
    assert num_passes > 0 or size > 8


# -------------------------------------------------------------------------------------------- symmetries


def played(game: Game, rng: np.random.Generator, progress: int) -> np.ndarray:
    """The position of a random game after so many plies per 100 cells, or at its end if that comes first."""
    position = game.initial_position()
    for _ in range(progress * game.parameters.size**2 // 100):
        if game.is_terminal(position):
            break
        position = game.apply_action(position, chosen(game, position, rng))
    return position


def chosen(game: Game, position: np.ndarray, rng: np.random.Generator) -> int:
    return int(rng.choice(np.flatnonzero(game.legal_actions(position))))


@pytest.mark.parametrize("size", [4, 8])
@QUICK
@given(seed=SEEDS, progress=PROGRESS, symmetry_index=st.integers(0, 7))
def test_a_step_on_a_turned_board_is_the_turned_step(size, seed, progress, symmetry_index):
    game, rng = load_game("othello", size=size), np.random.default_rng(seed)
    symmetry = rectangle_symmetries(size, size)[symmetry_index]
    image_actions = np.append(np.argsort(symmetry), size**2)
    position = played(game, rng, progress)
    board, mover = game.board(position), game.current_player(position)
    image = position_of(game, board[symmetry], mover)
    legal, image_legal = game.legal_actions(position), game.legal_actions(image)
    assert np.array_equal(image_legal, legal[np.append(symmetry, size**2)])
    planes = game.observation(position).reshape(game.num_planes, -1)
    assert np.array_equal(game.observation(image).reshape(game.num_planes, -1), planes[:, symmetry])
    assert game.is_terminal(image) == game.is_terminal(position)
    if game.is_terminal(position):
        assert game.returns(image).tolist() == game.returns(position).tolist()
        return
    action = chosen(game, position, rng)
    successor = game.apply_action(position, action)
    image_successor = game.apply_action(image, int(image_actions[action]))
    expected = position_of(game, game.board(successor)[symmetry], game.current_player(successor))
    assert np.array_equal(image_successor, expected)


@pytest.mark.parametrize("size", [4, 8])
@QUICK
@given(seed=SEEDS, progress=PROGRESS)
def test_with_the_colors_swapped_only_the_result_is_another(size, seed, progress):
    game = load_game("othello", size=size)
    position = played(game, np.random.default_rng(seed), progress)
    other_colors = np.array([0, 2, 1])[game.board(position)]
    image = position_of(game, other_colors, 1 - game.current_player(position))
    assert np.array_equal(game.legal_actions(image), game.legal_actions(position))
    assert np.array_equal(game.observation(image), game.observation(position))
    assert game.is_terminal(image) == game.is_terminal(position)
    if game.is_terminal(position):
        assert game.returns(image).tolist() == game.returns(position)[::-1].tolist()


@pytest.mark.parametrize("size", [4, 8, 10])
def test_all_symmetries_of_the_square_are_declared_those_that_keep_the_start_first(size):
    game = load_game("othello", size=size)
    start, spec = game.board(game.initial_position()), game.spec
    assert {tuple(s) for s in spec.cell_symmetries} == {
        tuple(s) for s in rectangle_symmetries(size, size)
    }
    keep_start = [np.array_equal(start[s], start) for s in spec.cell_symmetries]
    assert keep_start == 4 * [True] + 4 * [False]
    assert spec.num_start_symmetries == 4


@pytest.mark.parametrize("size", [4, 10, 16])
def test_other_sizes_keep_the_contract(size):
    assert check_contract(load_game("othello", size=size), num_games=3, seed=1) == []


# ----------------------------------------------------------------------------- observation, names, drawings


def test_observation_is_own_discs_the_opponents_ones_and_the_movers_moves():
    game = load_game("othello")
    position = play(game, game.initial_position(), "d3")
    own, other, ones, moves = game.observation(position).reshape(4, -1)
    board = game.board(position)
    assert np.array_equal(own, board == 2)
    assert np.array_equal(other, board == 1)
    assert ones.all()
    assert np.array_equal(moves, game.legal_actions(position)[:-1])
    assert {game.action_name(cell) for cell in np.flatnonzero(moves)} == {"c3", "c5", "e3"}


def test_cells_are_named_from_the_top_left_and_the_last_action_is_the_pass():
    game = load_game("othello")
    names = ["a1", "h1", "d3", "a8", "h8", "pass"]
    assert [game.action_name(action) for action in (0, 7, 19, 56, 63, 64)] == names
    assert [game.parse_action(name) for name in names] == [0, 7, 19, 56, 63, 64]
    assert game.spec.action_cells.tolist() == [*range(64), -1]


@pytest.mark.parametrize("text", ["", "d9", "i1", "passes", "d", "33"])
def test_what_is_no_action_is_refused_with_what_is(text):
    with pytest.raises(ValueError, match=r"from a1 to h8\. Where no disc can be placed: pass\."):
        load_game("othello").parse_action(text)


def test_a_drawing_counts_the_rows_from_the_top_and_marks_the_last_disc():
    game = load_game("othello", size=4)
    position = play(game, game.initial_position(), "b1", "a1")
    assert game.render(position, game.parse_action("a1")).splitlines() == [
        "   a b c d",
        "1 [O]X . .",
        "2  . O X .",
        "3  . X O .",
        "4  . . . .",
    ]
    assert "[" not in game.render(position, game.parse_action("pass"))
    assert "[" not in game.render(position)


def test_a_drawing_of_a_large_board_is_labeled_on_every_side():
    game = load_game("othello", size=10)
    rows = game.render(game.initial_position()).splitlines()
    assert rows[0] == rows[11] == "    a b c d e f g h i j"
    assert rows[1] == " 1  . . . . . . . . . .  1"
    assert rows[5] == " 5  . . . . O X . . . .  5"
    assert rows[10] == "10  . . . . . . . . . .  10"


@pytest.mark.parametrize("size", [2, 7, 9, 18])
def test_a_size_that_is_odd_or_out_of_range_is_refused(size):
    with pytest.raises(ValueError, match=f"game.size={size} is not an even number in 4..16"):
        load_game("othello", size=size)
