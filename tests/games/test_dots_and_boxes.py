"""Dots and Boxes against recorded games, exact values, drawn boards and a slow version of the same rules."""

from __future__ import annotations

import json
from textwrap import dedent

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpzero.games import Game, load_game
from ddpzero.games.core.contract_checks import check_contract
from ddpzero.games.shared.boards import square_name
from ddpzero.judges.packaged import POSITIONS_FOLDER
from ddpzero.judges.rules_traces import verify_rules
from tests.perft import perft, unique_positions
from tests.places import DATA
from tests.recorded import recorded_games

SIZES = [(1, 1), (1, 3), (2, 2), (2, 3), (3, 3), (4, 3), (4, 4), (5, 5)]
SMALL_SIZES = [(1, 3), (2, 2), (2, 3), (3, 3)]
# Planes, as the game's module numbers them.
DRAWN, NOT_DRAWN, OWN, OPPONENTS, ONES, NO_SIDES = range(6)
# Entries of a position, from its end.
MOVER = -3


def load(rows: int, columns: int) -> Game:
    return load_game("dots_and_boxes", rows=rows, columns=columns)


def play(game: Game, names: str) -> np.ndarray:
    """The position after some edges from the start."""
    position = game.initial_position()
    for name in names.split():
        position = game.apply_action(position, game.parse_action(name))
    return position


def movers(game: Game, names: str) -> list[int]:
    """Who draws each of the edges."""
    edges = names.split()
    return [game.current_player(play(game, " ".join(edges[:ply]))) for ply in range(len(edges))]


def cells_of(game: Game, plane: np.ndarray) -> str:
    """The names of the ones, as the drawing has them from top to bottom."""
    height, _ = game.board_shape
    return " ".join(square_name(row, column, height) for row, column in np.argwhere(plane))


def random_game(game: Game, rng: np.random.Generator) -> list[int]:
    return rng.permutation(game.num_actions).tolist()


def recorded_counts(label: str) -> list[int]:
    """The list behind `label` in perft.txt."""
    for line in (DATA / "games" / "perft.txt").read_text().splitlines():
        if line.startswith(f"{label} ["):
            return json.loads(line.removeprefix(label))
    raise AssertionError(f"perft.txt has no line {label}.")


class SlowRules:
    """The same rules in sets of dots: an edge is the pair of dots that it joins."""

    def __init__(self, rows: int, columns: int):
        self.rows, self.columns = rows, columns
        self.edges = [
            frozenset({(row, column), (row, column + 1)})
            for row in range(rows + 1)
            for column in range(columns)
        ] + [
            frozenset({(row, column), (row + 1, column)})
            for row in range(rows)
            for column in range(columns + 1)
        ]
        self.boxes = [(row, column) for row in range(rows) for column in range(columns)]
        self.drawn: set[frozenset[tuple[int, int]]] = set()
        self.owners: dict[tuple[int, int], int] = {}
        self.mover = 0

    def num_sides(self, box: tuple[int, int]) -> int:
        row, column = box
        corners = {(row + down, column + right) for down in (0, 1) for right in (0, 1)}
        return sum(edge <= corners for edge in self.drawn)

    def draw(self, action: int) -> None:
        self.drawn.add(self.edges[action])
        completed = [
            box for box in self.boxes if box not in self.owners and self.num_sides(box) == 4
        ]
        self.owners.update(dict.fromkeys(completed, self.mover))
        if not completed:
            self.mover = 1 - self.mover

    def num_owned(self, player: int) -> int:
        return list(self.owners.values()).count(player)

    def planes(self) -> np.ndarray:
        """From the mover's side; an edge lies in the middle of its dots, which are two cells apart."""
        planes = np.zeros((9, 2 * self.rows + 1, 2 * self.columns + 1), dtype=np.uint8)
        planes[ONES] = 1
        for edge in self.edges:
            (row, column), (other_row, other_column) = edge
            plane = DRAWN if edge in self.drawn else NOT_DRAWN
            planes[plane, row + other_row, column + other_column] = 1
        for row, column in self.boxes:
            owner = self.owners.get((row, column))
            if owner is None:
                plane = NO_SIDES + self.num_sides((row, column))
            else:
                plane = OWN if owner == self.mover else OPPONENTS
            planes[plane, 2 * row + 1, 2 * column + 1] = 1
        return planes


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_recorded_games_match_at_every_ply(rows, columns):
    report = verify_rules(recorded_games(f"dots_and_boxes_{rows}x{columns}"), load(rows, columns))
    assert report.is_clean, report.mismatches
    num_edges = (rows + 1) * columns + rows * (columns + 1)
    assert (report.num_games, report.num_plies) == (300, 300 * num_edges)
    assert report.num_checks["score"] == report.num_checks["returns"] == 300


@pytest.mark.parametrize("size", [2, 3])
def test_as_many_sequences_of_plies_as_recorded(size):
    expected = recorded_counts(f"perft dots_and_boxes(num_rows={size},num_cols={size})")
    assert perft(load(size, size), depth=len(expected)) == expected


def test_as_many_positions_as_recorded():
    expected = recorded_counts("unique dots_and_boxes 2x2 (edges+owners+side)")
    assert unique_positions(load(2, 2), depth=12) == expected


@pytest.mark.parametrize(("rows", "columns", "start_value"), [(1, 1, -1), (1, 3, -1), (2, 2, 2)])
def test_perfect_play_from_the_start_has_its_known_margin(rows, columns, start_value):
    game = load(rows, columns)
    values = future_values(game, game.initial_position(), {})
    assert max(values.values()) == start_value


def test_every_move_of_the_solved_positions_has_the_value_of_a_full_search():
    game, known = load(2, 2), {}
    with np.load(POSITIONS_FOLDER / "dots_and_boxes_2x2.npz", allow_pickle=False) as solved:
        for moves, length, move_values in zip(
            solved["moves"], solved["lengths"], solved["move_values"], strict=True
        ):
            position = game.initial_position()
            for action in moves[:length]:
                position = game.apply_action(position, int(action))
            expected = {edge: value for edge, value in enumerate(move_values) if value != -100}
            assert future_values(game, position, known) == expected


def future_values(game: Game, position: np.ndarray, known: dict) -> dict[int, int]:
    """The mover's boxes still to come minus the opponent's, by the edge that is drawn now and perfect play.

    known: these values of positions met before, by their legal edges, which alone decide them.
    """
    legal = np.flatnonzero(game.legal_actions(position)).tolist()
    if tuple(legal) not in known:
        values = {}
        mover = game.current_player(position)
        for edge in legal:
            successor = game.apply_action(position, edge)
            gain = np.count_nonzero(game.board(successor)) - np.count_nonzero(game.board(position))
            future = max(future_values(game, successor, known).values(), default=0)
            moves_again = game.is_terminal(successor) or game.current_player(successor) == mover
            values[edge] = gain + (future if moves_again else -future)
        known[tuple(legal)] = values
    return known[tuple(legal)]


@pytest.mark.parametrize(
    ("rows", "columns", "num_games"), [(1, 1, 5), (1, 3, 5), (2, 3, 5), (3, 2, 5), (9, 9, 2)]
)
def test_other_boards_keep_the_contract(rows, columns, num_games):
    assert check_contract(load(rows, columns), num_games, seed=2) == []


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_the_rules_are_those_of_a_slow_version(rows, columns):
    game, rng = load(rows, columns), np.random.default_rng(5)
    for _ in range(6):
        slow, position = SlowRules(rows, columns), game.initial_position()
        for action in random_game(game, rng):
            assert_same(game, position, slow)
            assert not game.is_terminal(position)
            position = game.apply_action(position, action)
            slow.draw(action)
        assert game.is_terminal(position)
        assert not game.legal_actions(position).any()
        margin = slow.num_owned(0) - slow.num_owned(1)
        assert game.score(position) == margin
        assert game.returns(position).tolist() == [np.sign(margin), -np.sign(margin)]
        owners = [1 - 2 * slow.owners[box] for box in slow.boxes]
        assert game.ownership(position).tolist() == owners


def assert_same(game: Game, position: np.ndarray, slow: SlowRules) -> None:
    assert game.current_player(position) == slow.mover
    assert game.legal_actions(position).tolist() == [edge not in slow.drawn for edge in slow.edges]
    assert game.board(position).tolist() == [slow.owners.get(box, -1) + 1 for box in slow.boxes]
    assert np.array_equal(game.observation(position), slow.planes())
    assert game.observed_globals(position).tolist() == [
        slow.num_owned(slow.mover) - slow.num_owned(1 - slow.mover),
        len(slow.boxes) - len(slow.owners),
        1 if len(slow.edges) % 2 != len(slow.drawn) % 2 else -1,
    ]


def test_turns_alternate_while_no_box_is_completed():
    assert movers(load(2, 2), "b5 a4 c4 d1 e2") == [0, 1, 0, 1, 0]


def test_who_completes_a_box_owns_it_and_moves_again():
    game = load(2, 2)
    edges = "b5 a4 c4 b3"
    assert movers(game, f"{edges} d1 d5") == [0, 1, 0, 1, 1, 0]
    position = play(game, edges)
    assert game.board(position).tolist() == [2, 0, 0, 0]
    assert drawing(game, edges) == dedent("""\
           a b c d e
        5  +---+   +
        4  | O |
        3  +[-]+   +
        2
        1  +   +   +""")


def test_an_edge_that_completes_two_boxes_counts_both_and_gives_one_more_turn():
    game = load(1, 3)
    edges = "b3 b1 d3 d1 a2 e2 c2"
    assert movers(game, f"{edges} f3 f1") == [0, 1, 0, 1, 0, 1, 0, 0, 1]
    assert game.board(play(game, edges)).tolist() == [1, 1, 0]
    assert drawing(game, edges) == dedent("""\
           a b c d e f g
        3  +---+---+   +
        2  | X[|]X |
        1  +---+---+   +""")


def test_the_last_edge_ends_the_game_and_no_majority_before_it():
    game = load(1, 3)
    before = play(game, "b3 b1 d3 d1 a2 e2 c2 f3 f1")
    assert game.observed_globals(before).tolist() == [2, 1, 1]
    assert not game.is_terminal(before)
    position = game.apply_action(before, game.parse_action("g2"))
    assert game.is_terminal(position)
    assert game.score(position) == 3
    assert game.returns(position).tolist() == [1, -1]
    assert game.ownership(position).tolist() == [1, 1, 1]


def test_as_many_boxes_for_both_are_a_draw():
    game = load(2, 2)
    edges = "c2 b1 e2 c4 b3 a2 d3 b5 a4 e4 d1 d5"
    position = play(game, edges)
    assert game.is_terminal(position)
    assert game.score(position) == 0
    assert game.returns(position).tolist() == [0, 0]
    assert drawing(game, edges) == dedent("""\
           a b c d e
        5  +---+[-]+
        4  | O | X |
        3  +---+---+
        2  | O | X |
        1  +---+---+""")


def test_the_second_player_can_win():
    game = load(2, 2)
    position = play(game, "e2 a4 e4 d3 a2 c2 b5 b1 b3 d5 d1 c4")
    assert game.score(position) == -2
    assert game.returns(position).tolist() == [-1, 1]


def test_the_drawing_marks_an_edge_at_each_border():
    game = load(1, 1)
    assert drawing(game, "a2").splitlines()[2] == "2 [|]"
    assert drawing(game, "c2").splitlines()[2] == "2     [|]"
    assert drawing(game, "b3").splitlines()[1] == "3  +[-]+"
    assert drawing(game, "b1").splitlines()[3] == "1  +[-]+"


def test_large_boards_are_labeled_on_every_side():
    game = load(5, 5)
    lines = drawing(game, "b11 k10").splitlines()
    assert lines[0] == lines[-1] == "    a b c d e f g h i j k"
    assert lines[1] == "11  +---+   +   +   +   +  11"
    assert lines[2] == "10                     [|] 10"


def drawing(game: Game, edges: str) -> str:
    return game.render(play(game, edges), game.parse_action(edges.split()[-1]))


def test_an_edge_is_named_by_its_place_in_the_drawing():
    game = load(2, 3)
    for action in range(game.num_actions):
        name = game.action_name(action)
        lines = game.render(game.apply_action(game.initial_position(), action), action).splitlines()
        (line,) = (line for line in lines if "[" in line)
        letter = lines[0][line.index("[") + 1]
        assert name == f"{letter}{line[0]}"


def test_edges_are_numbered_horizontal_ones_first_from_the_top():
    game = load(2, 3)
    names = [game.action_name(action) for action in range(game.num_actions)]
    assert " ".join(names) == "b5 d5 f5 b3 d3 f3 b1 d1 f1 a4 c4 e4 g4 a2 c2 e2 g2"


# Dots, boxes, cells outside and what is no cell.
@pytest.mark.parametrize("text", ["a1", "c3", "b2", "f4", "h2", "b6", "b", "2", "b-1", "bb", "b1h"])
def test_what_is_not_an_edge_is_refused_with_examples(text):
    with pytest.raises(ValueError, match=rf"'{text}' is not an edge: .* such as a2, b1 or f5\."):
        load(2, 3).parse_action(text)


@pytest.mark.parametrize("name", ["rows", "columns"])
@pytest.mark.parametrize("number", [0, 10])
def test_sizes_out_of_range_are_told(name, number):
    with pytest.raises(ValueError, match=rf"game\.{name}={number} is outside 1\.\.9: choose"):
        load_game("dots_and_boxes", **{name: number})


def test_the_observation_tells_boxes_by_owner_and_by_drawn_sides():
    game = load(1, 3)
    # The second player owns the left box; the middle one has three drawn sides, the right one two.
    position = play(game, "b3 b1 a2 c2 d3 e2 g2")
    assert game.board(position).tolist() == [2, 0, 0]
    assert game.current_player(position) == 0
    planes = game.observation(position)
    assert [cells_of(game, plane) for plane in planes] == [
        "b3 d3 a2 c2 e2 g2 b1",
        "f3 d1 f1",
        "",
        "b2",
        "a3 b3 c3 d3 e3 f3 g3 a2 b2 c2 d2 e2 f2 g2 a1 b1 c1 d1 e1 f1 g1",
        "",
        "",
        "f2",
        "d2",
    ]
    assert game.observed_globals(position).tolist() == [-1, 2, 1]


def test_globals_come_near_one_with_the_same_scales_on_all_boards():
    game = load(3, 4)
    assert np.array(game.spec.global_scales) * [12, 12, 1] == pytest.approx([1.2, 1.2, 1.0])
    assert game.spec.global_scales == load(5, 5).spec.global_scales
    assert game.observed_globals(game.initial_position()).tolist() == [0, 12, 1]


def test_a_square_board_has_8_symmetries_and_an_oblong_one_4():
    for (rows, columns), num_symmetries in (((3, 3), 8), ((2, 3), 4), ((1, 1), 8)):
        actions = load(rows, columns).spec.action_symmetries
        assert len({tuple(symmetry) for symmetry in actions}) == num_symmetries


@st.composite
def openings(draw, sizes=tuple(SMALL_SIZES)):
    """A game and different edges, in any order and number."""
    game = load(*draw(st.sampled_from(sizes)))
    edges = draw(st.permutations(range(game.num_actions)))
    return game, edges[: draw(st.integers(0, game.num_actions))]


def replay(game: Game, edges) -> np.ndarray:
    position = game.initial_position()
    for edge in edges:
        position = game.apply_action(position, edge)
    return position


@settings(max_examples=60, deadline=None)
@given(openings())
def test_symmetries_commute_with_play(opening):
    game, edges = opening
    spec, position = game.spec, replay(*opening)
    box_cells = np.arange(np.prod(spec.board_shape)).reshape(spec.board_shape)[1::2, 1::2]
    for cells, actions in zip(spec.cell_symmetries, spec.action_symmetries, strict=True):
        image_of_action = np.argsort(actions)
        image = replay(game, image_of_action[edges].tolist())
        boxes = np.searchsorted(box_cells.reshape(-1), cells[box_cells.reshape(-1)])
        planes = game.observation(position).reshape(game.num_planes, -1)
        assert np.array_equal(
            game.observation(image).reshape(game.num_planes, -1), planes[:, cells]
        )
        assert np.array_equal(game.observed_globals(image), game.observed_globals(position))
        assert np.array_equal(game.legal_actions(image), game.legal_actions(position)[actions])
        assert np.array_equal(game.board(image), game.board(position)[boxes])
        assert game.current_player(image) == game.current_player(position)
        assert game.is_terminal(image) == game.is_terminal(position)
        assert game.score(image) == game.score(position)
        assert np.array_equal(game.ownership(image), game.ownership(position)[boxes])


@settings(max_examples=100, deadline=None)
@given(openings())
def test_both_players_own_what_is_completed_and_at_the_end_everything(opening):
    game, edges = opening
    position = replay(game, edges)
    board, planes = game.board(position), game.observation(position)
    drawn = planes[DRAWN]
    num_sides = drawn[:-1:2, 1::2] + drawn[2::2, 1::2] + drawn[1::2, :-1:2] + drawn[1::2, 2::2]
    assert np.array_equal(board > 0, num_sides.reshape(-1) == 4)
    assert game.score(position) == np.count_nonzero(board == 1) - np.count_nonzero(board == 2)
    assert game.score(position) == game.ownership(position).sum()
    assert game.is_terminal(position) == (len(edges) == game.num_actions) == bool(board.all())


@settings(max_examples=100, deadline=None)
@given(openings())
def test_edges_are_either_drawn_or_not_and_boxes_in_exactly_one_plane(opening):
    game, edges = opening
    planes = game.observation(replay(game, edges))
    rows, columns = np.indices(game.board_shape)
    is_box = (rows % 2 == 1) & (columns % 2 == 1)
    assert np.array_equal(planes[DRAWN] + planes[NOT_DRAWN], (rows + columns) % 2)
    assert np.array_equal(planes[OWN] + planes[OPPONENTS] + planes[NO_SIDES:].sum(axis=0), is_box)
    drawn = planes[DRAWN].reshape(-1)[game.spec.action_cells]
    assert np.array_equal(np.flatnonzero(drawn), np.sort(edges))


@settings(max_examples=100, deadline=None)
@given(openings())
def test_the_other_side_sees_own_and_opponents_boxes_swapped(opening):
    game, edges = opening
    position = replay(game, edges)
    other = position.copy()
    other[MOVER] = 1 - other[MOVER]
    assert game.current_player(other) != game.current_player(position)
    planes = game.observation(position)
    swapped = planes[[DRAWN, NOT_DRAWN, OPPONENTS, OWN, *range(ONES, len(planes))]]
    assert np.array_equal(game.observation(other), swapped)
    difference, *others = game.observed_globals(position).tolist()
    assert game.observed_globals(other).tolist() == [-difference, *others]
