"""Go: captures, ko, suicide, area and handicap, against drawn boards, recorded games and a plain reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpzero.games import Game, load_game
from ddpzero.games.core import single
from ddpzero.games.core.loader import variation
from ddpzero.judges.rules_traces import verify_rules
from tests.perft import perft
from tests.recorded import recorded_games
from tests.test_perft import recorded_counts

SUPERKO = ("positional", "situational")


def play(game: Game, moves: str, position: np.ndarray | None = None) -> np.ndarray:
    """The position after moves by name, from the start or from `position`."""
    position = game.initial_position() if position is None else position
    for move in moves.split():
        position = game.apply_action(position, game.parse_action(move))
    return position


def drawn(game: Game, position: np.ndarray) -> str:
    """The board's rows from the top, without labels: "..X/.O./..."."""
    size = game.board_shape[0]
    rows = game.board(position).reshape(size, size)[::-1]
    return "/".join("".join(".XO"[cell] for cell in row) for row in rows)


def set_up(game: Game, drawing: str) -> np.ndarray:
    """A position with these stones, black to move: played, with passes, so no stone may be without liberties."""
    size = game.board_shape[0]
    rows = drawing.split("/")[::-1]
    position = game.initial_position()
    for symbol in "XO":
        for row, line in enumerate(rows):
            for column in (c for c in range(size) if line[c] == symbol):
                while game.current_player(position) != "XO".index(symbol):
                    position = game.apply_action(position, size**2)
                position = game.apply_action(position, row * size + column)
    while game.current_player(position) != 0:
        position = game.apply_action(position, size**2)
    assert drawn(game, position) == drawing
    return position


def is_legal(game: Game, position: np.ndarray, move: str) -> bool:
    return bool(game.legal_actions(position)[game.parse_action(move)])


# ------------------------------------------------------------------ against other programs


@pytest.mark.parametrize(
    ("file_name", "size", "num_plies", "ko"),
    [
        ("go2_superko", 2, 1804, "positional"),
        ("go2_superko", 2, 1804, "situational"),
        ("go3_superko", 3, 3231, "positional"),
        ("go3_superko", 3, 3231, "situational"),
        ("go4_superko", 4, 3426, "positional"),
        ("go5", 5, 12554, "positional"),
        ("go5", 5, 12554, "situational"),
        ("go9", 9, 39148, "positional"),
        ("go9", 9, 39148, "situational"),
        ("go9", 9, 39148, "simple"),
        ("go13", 13, 15877, "simple"),
        ("go19", 19, 25296, "positional"),
    ],
)
def test_recorded_games_match_at_every_ply(file_name, size, num_plies, ko):
    """In the files of 13 and 19 lines superko is not recorded: there the masks are those of simple ko."""
    komi = 0.5 if size <= 5 else 7.5
    game = load_game("go", size=size, komi=komi, ko=ko)
    report = verify_rules(recorded_games(file_name), game)
    assert report.is_clean, report.mismatches
    assert report.num_plies == num_plies
    assert report.num_checks["ownership"] == report.num_checks["score"] == report.num_games
    assert bool(report.not_checked) == (size > 9 and ko != "simple")


def test_a_ban_that_is_not_recorded_is_found(tmp_path):
    with np.load(recorded_games("go5"), allow_pickle=False) as archive:
        traces = dict(archive)
    traces["psk_bans"] = traces["psk_bans"][1:]
    traces["psk_bans_ssk_allowed"] = traces["psk_bans_ssk_allowed"][1:]
    file = tmp_path / "go5.npz"
    np.savez(file, **traces)
    game = load_game("go", size=5, komi=0.5)
    assert verify_rules(file, game).num_mismatches["legal mask"] == 1


def test_games_with_another_komi_are_refused():
    with pytest.raises(ValueError, match=r"recorded with komi 0.5, but go has 7.5: give game.komi"):
        verify_rules(recorded_games("go5"), load_game("go", size=5))


@pytest.mark.parametrize(("size", "komi", "depth"), [(2, "0.5", 6), (3, "0.5", 5), (9, "7.5", 3)])
def test_as_many_sequences_of_plies_as_recorded(size, komi, depth):
    expected = recorded_counts()[f"perft go(board_size={size},komi={komi})"]
    game = load_game("go", size=size, komi=float(komi), ko="simple")
    assert perft(game, depth) == expected


# ------------------------------------------------------------------ against a plain reference


@dataclass
class Reference:
    """The rules written down plainly: a dict of stones, flood fill, a list of all boards."""

    size: int
    ko: str
    suicide: bool
    stones: dict[tuple[int, int], int] = field(default_factory=dict)
    mover: int = 0
    passes: int = 0
    boards: list[tuple[frozenset, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.boards.append((frozenset(), 0))

    def beside(self, point: tuple[int, int]) -> list[tuple[int, int]]:
        row, column = point
        around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        return [(r, c) for r, c in around if 0 <= r < self.size and 0 <= c < self.size]

    def group(self, stones: dict, point: tuple[int, int]) -> tuple[set, set]:
        """The stones connected to a point (or its empty region), and what lies around them."""
        group, around, waiting = {point}, set(), [point]
        while waiting:
            for other in self.beside(waiting.pop()):
                if stones.get(other) != stones.get(point):
                    around.add(other)
                elif other not in group:
                    group.add(other)
                    waiting.append(other)
        return group, around

    def after(self, point: tuple[int, int]) -> dict | None:
        """The stones after the mover's move; None for one that captures, ko apart, do not allow."""
        if point in self.stones:
            return None
        stones = {**self.stones, point: self.mover}
        for other in self.beside(point):
            if stones.get(other) == 1 - self.mover:
                group, around = self.group(stones, other)
                if all(p in stones for p in around):
                    stones = {p: c for p, c in stones.items() if p not in group}
        group, around = self.group(stones, point)
        if all(p in stones for p in around):
            if not self.suicide or len(group) == 1:
                return None
            stones = {p: c for p, c in stones.items() if p not in group}
        return stones

    def is_legal(self, point: tuple[int, int]) -> bool:
        stones = self.after(point)
        if stones is None:
            return False
        board = frozenset(stones.items())
        if self.ko == "positional":
            return all(board != earlier for earlier, _ in self.boards)
        if self.ko == "situational":
            return (board, 1 - self.mover) not in self.boards
        # Simple: one stone takes back the one that took one.
        return not (
            len(self.boards) > 1 and board == self.boards[-2][0] and len(stones) == len(self.stones)
        )

    def play(self, point: tuple[int, int] | None) -> None:
        self.passes = self.passes + 1 if point is None else 0
        if point is not None:
            stones = self.after(point)
            assert stones is not None
            self.stones = stones
        self.mover = 1 - self.mover
        self.boards.append((frozenset(self.stones.items()), self.mover))

    def owner(self, point: tuple[int, int]) -> int:
        if point in self.stones:
            return 1 - 2 * self.stones[point]
        _, around = self.group(self.stones, point)
        colors = {self.stones[p] for p in around}
        return 1 - 2 * colors.pop() if len(colors) == 1 else 0

    def liberties(self, point: tuple[int, int]) -> int:
        _, around = self.group(self.stones, point)
        return sum(p not in self.stones for p in around)


# Few, for each is compiled anew.
RULES = [
    (2, "positional", True),
    (3, "situational", True),
    (4, "simple", False),
    (5, "positional", False),
]


def game_with(size: int, ko: str, suicide: bool) -> Game:
    return load_game("go", size=size, komi=0.5, ko=ko, suicide=suicide)


@settings(max_examples=16, deadline=None)
@given(rules=st.sampled_from(RULES), seed=st.integers(0, 2**31))
def test_random_games_are_those_of_a_plain_reference(rules, seed):
    """Legality, boards, liberties, bans, area and ownership at every ply; passes are rare, so that boards fill up."""
    size = rules[0]
    game, reference = game_with(*rules), Reference(*rules)
    rng, position = np.random.default_rng(seed), game.initial_position()
    points = [(row, column) for row in range(size) for column in range(size)]
    for ply in range(game.spec.max_plies + 1):
        legal = game.legal_actions(position)
        if ply == game.spec.max_plies or reference.passes == 2:
            assert game.is_terminal(position)
            assert not legal.any()
            break
        assert not game.is_terminal(position)
        assert legal[:-1].tolist() == [reference.is_legal(point) for point in points]
        assert legal[-1], "a pass is always legal"
        assert game.current_player(position) == reference.mover
        planes = game.observation(position).reshape(game.num_planes, -1)
        counts = [reference.liberties(p) if p in reference.stones else 0 for p in points]
        for number in (1, 2, 3):
            assert planes[2 + number].tolist() == [count == number for count in counts]
        banned = [reference.after(p) is not None and not reference.is_legal(p) for p in points]
        assert planes[6].tolist() == banned
        actions = np.flatnonzero(legal[:-1])
        passes = not len(actions) or rng.random() < 0.03
        action = size**2 if passes else int(rng.choice(actions))
        position = game.apply_action(position, action)
        reference.play(None if passes else points[action])
        board = [{None: 0, 0: 1, 1: 2}[reference.stones.get(point)] for point in points]
        assert game.board(position).tolist() == board
    owners = [reference.owner(point) for point in points]
    assert game.ownership(position).tolist() == owners
    assert game.score(position) == sum(owners)
    assert game.returns(position)[0] == (1 if sum(owners) > 0.5 else -1)


@settings(max_examples=20, deadline=None)
@given(rules=st.sampled_from(RULES[:2]), seed=st.integers(0, 2**31))
def test_no_position_comes_again_under_superko(rules, seed):
    size, ko, _ = rules
    game = game_with(*rules)
    rng, position = np.random.default_rng(seed), game.initial_position()
    seen = set()
    while not game.is_terminal(position):
        legal = np.flatnonzero(game.legal_actions(position)[:-1])
        action = int(rng.choice(legal)) if len(legal) else size**2
        before = game.board(position).tobytes()
        mover = game.current_player(position) if ko == "situational" else 0
        seen.add((before, mover))
        position = game.apply_action(position, action)
        if action != size**2:
            mover = game.current_player(position) if ko == "situational" else 0
            assert (game.board(position).tobytes(), mover) not in seen


@settings(max_examples=15, deadline=None)
@given(rules=st.sampled_from(RULES), seed=st.integers(0, 2**31))
def test_symmetries_commute_with_moves_legality_and_results(rules, seed):
    size, game = rules[0], game_with(*rules)
    rng = np.random.default_rng(seed)
    symmetry = int(rng.integers(8))
    cells, actions = game.spec.cell_symmetries[symmetry], game.spec.action_symmetries[symmetry]
    moved_action = np.argsort(actions)
    position, image = game.initial_position(), game.initial_position()
    while not game.is_terminal(position):
        legal = game.legal_actions(position)
        np.testing.assert_array_equal(game.legal_actions(image), legal[actions])
        choices = np.flatnonzero(legal[:-1]) if legal[:-1].any() else [size**2]
        action = int(rng.choice(choices))
        position = game.apply_action(position, action)
        image = game.apply_action(image, int(moved_action[action]))
        np.testing.assert_array_equal(game.board(image), game.board(position)[cells])
    np.testing.assert_array_equal(game.ownership(image), game.ownership(position)[cells])
    assert game.score(image) == game.score(position) == game.ownership(position).sum()
    assert game.is_terminal(image)


@pytest.mark.parametrize("rules", RULES)
def test_a_copied_position_plays_on_as_the_original(rules):
    """The copy goes over a used row: what it leaves there must not matter."""
    game = game_with(*rules)
    rng = np.random.default_rng(5)
    rows = np.full((2, game.spec.position_size), 77, np.int16)
    position = game.initial_position()
    while not game.is_terminal(position):
        single.copy_position(game.rules, position, rows[0])
        np.testing.assert_array_equal(game.legal_actions(rows[0]), game.legal_actions(position))
        legal = np.flatnonzero(game.legal_actions(position))
        action = int(rng.choice(legal[:-1] if len(legal) > 1 else legal))
        single.apply_action(game.rules, rows[0], action)
        position = game.apply_action(position, action)
        np.testing.assert_array_equal(game.observation(rows[0]), game.observation(position))
        np.testing.assert_array_equal(game.board(rows[0]), game.board(position))
    assert game.score(rows[0]) == game.score(position)


# ------------------------------------------------------------------ drawn boards


def go_on_5x5(**parameters: Any) -> Game:
    """With the komi of the recorded games."""
    return load_game("go", **({"size": 5, "komi": 0.5} | parameters))


def test_two_passes_end_the_game_even_as_the_first_moves():
    game = go_on_5x5()
    position = play(game, "pass")
    assert not game.is_terminal(position)
    position = play(game, "pass", position)
    assert game.is_terminal(position)
    assert game.score(position) == 0
    assert game.returns(position).tolist() == [-1, 1], "komi"


def test_komi_handicap_and_the_longest_game_are_read_and_not_compiled_in():
    game = go_on_5x5()
    play(game, "pass C3")
    compiled_before = len(single.apply_action.signatures)
    for komi, max_plies in ((-1.5, 2), (0.5, 4), (3.0, 3)):
        other = variation(game, komi=komi, max_plies=max_plies)
        position = other.initial_position()
        assert other.observed_globals(position)[0] == -2 * komi
        for move in ("C3", "pass", "D4", "pass")[:max_plies]:
            assert not other.is_terminal(position)
            position = play(other, move, position)
        assert other.is_terminal(position)
    assert len(single.apply_action.signatures) == compiled_before


def test_passes_that_do_not_follow_each_other_end_nothing():
    game = go_on_5x5()
    assert not game.is_terminal(play(game, "pass C3 pass D4 pass"))


def test_a_stone_without_liberties_is_taken():
    game = go_on_5x5()
    position = set_up(game, "...../..X../.XO../..X../.....")
    assert drawn(game, play(game, "D3", position)) == "...../..X../.X.X./..X../....."


def test_two_groups_are_taken_at_once():
    game = go_on_5x5()
    position = set_up(game, "O.OXX/XXX../...../...../.....")
    assert drawn(game, play(game, "B5", position)) == ".X.XX/XXX../...../...../....."


def test_what_takes_comes_before_what_has_no_liberty():
    """Black's stone has no liberty before the white stones are gone."""
    game = go_on_5x5()
    position = set_up(game, ".OX../OX.../X..../...../.....")
    assert is_legal(game, position, "A5")
    assert drawn(game, play(game, "A5", position)) == "X.X../.X.../X..../...../....."


@pytest.mark.parametrize("ko", ["simple", *SUPERKO])
def test_a_ko_may_be_taken_back_only_after_a_move_elsewhere(ko):
    game = go_on_5x5(ko=ko)
    position = set_up(game, "..XO./.XO.O/..XO./...../.....")
    taken = play(game, "D4", position)
    assert drawn(game, taken) == "..XO./.X.XO/..XO./...../....."
    assert not is_legal(game, taken, "C4")
    assert game.observation(taken)[6].sum() == 1
    elsewhere = play(game, "A1 B1", taken)
    assert is_legal(game, elsewhere, "C4")
    assert drawn(game, play(game, "C4", elsewhere)).startswith("..XO./.XO.O/..XO.")


@pytest.mark.parametrize("ko", ["simple", "positional"])
def test_one_stone_is_taken_and_takes_three_at_once(ko):
    """A snapback is no ko."""
    game = go_on_5x5(ko=ko)
    position = set_up(game, "...../...../XXX../OOX../..X..")
    taken = play(game, "A1 B1", position)
    assert drawn(game, taken) == "...../...../XXX../OOX../.OX.."
    assert drawn(game, play(game, "A1", taken)) == "...../...../XXX../..X../X.X.."


@pytest.mark.parametrize(("ko", "comes_again"), [("simple", True), ("positional", False)])
def test_with_simple_ko_alone_a_board_may_come_again(ko, comes_again):
    game = load_game("go", size=2, komi=0.5, ko=ko)
    rng = np.random.default_rng(0)
    num_repeated = 0
    for _ in range(20):
        position, boards = game.initial_position(), set()
        while not game.is_terminal(position):
            legal = np.flatnonzero(game.legal_actions(position)[:-1])
            action = int(rng.choice(legal)) if len(legal) else 4
            boards.add(game.board(position).tobytes())
            position = game.apply_action(position, action)
            num_repeated += action != 4 and game.board(position).tobytes() in boards
    assert (num_repeated > 0) == comes_again


def test_suicide_is_legal_only_with_the_rule_and_for_two_stones_or_more():
    for suicide in (False, True):
        game = go_on_5x5(suicide=suicide)
        position = set_up(game, "XO.../.O.../OO.../...../.....")
        assert is_legal(game, position, "A4") == suicide
        alone = set_up(game, ".O.../O..../...../...../.....")
        assert not is_legal(game, alone, "A5"), "a single stone never"
        if suicide:
            after = play(game, "A4", position)
            assert drawn(game, after) == ".O.../.O.../OO.../...../....."


def test_an_area_belongs_to_whose_stones_alone_it_touches():
    game = go_on_5x5()
    # The region on the right touches black's stone at the bottom, too.
    position = play(game, "pass pass", set_up(game, "..XO./..XO./..XO./..XO./..X.."))
    owners = game.ownership(position).reshape(5, 5)[::-1]
    assert owners.tolist() == 4 * [[1, 1, 1, -1, 0]] + [[1, 1, 1, 0, 0]]
    assert game.score(position) == 15 - 4


@pytest.mark.parametrize(("komi", "result"), [(0.5, 1), (25.0, 0), (-3.0, 1)])
def test_komi_is_whites(komi, result):
    game = load_game("go", size=5, komi=komi)
    position = play(game, "C3 pass pass")
    assert game.score(position) == 25
    assert game.returns(position).tolist() == [result, -result]


def test_a_game_that_is_too_long_is_scored_as_it_stands():
    game = load_game("go", size=5, komi=0.5, max_plies=3)
    position = play(game, "C3 A1 C4")
    assert game.is_terminal(position)
    assert not game.legal_actions(position).any()
    assert game.score(position) == 1
    assert game.returns(position).tolist() == [1, -1]


@pytest.mark.parametrize(
    ("size", "handicap", "points"),
    [
        (9, 2, "C3 G7"),
        (9, 3, "C3 G7 C7"),
        (9, 5, "C3 G7 C7 G3 E5"),
        (13, 4, "D4 K10 D10 K4"),
        (19, 6, "D4 Q16 D16 Q4 D10 Q10"),
        (19, 7, "D4 Q16 D16 Q4 D10 Q10 K10"),
        (19, 9, "D4 Q16 D16 Q4 D10 Q10 K4 K16 K10"),
    ],
)
def test_handicap_stones_lie_where_gtp_has_them_and_white_begins(size, handicap, points):
    game = load_game("go", size=size, handicap=handicap)
    position = game.initial_position()
    expected = np.zeros(size**2, np.uint8)
    expected[[game.parse_action(point) for point in points.split()]] = 1
    np.testing.assert_array_equal(game.board(position), expected)
    assert game.current_player(position) == 1
    assert game.legal_actions(position).sum() == size**2 - handicap + 1


# ------------------------------------------------------------------ what the network sees


def test_the_last_moves_are_seen_one_plane_each_and_passes_nowhere():
    game = go_on_5x5()
    planes = game.observation(play(game, "A1 B2 pass C3"))[7:]
    assert len(planes) == 5
    seen = [np.flatnonzero(plane.reshape(-1)).tolist() for plane in planes]
    assert seen == [[12], [], [6], [0], []]


def test_stones_are_seen_from_the_movers_side():
    game = go_on_5x5()
    planes = game.observation(play(game, "A1 B2 C3"))
    assert np.flatnonzero(planes[0]).tolist() == [6], "white moves, and has B2"
    assert np.flatnonzero(planes[1]).tolist() == [0, 12]
    assert (planes[2] == 1).all()


def test_komi_color_and_a_pass_are_seen_as_numbers():
    # With a komi of 0.5 its number would be the color's, negated.
    game = go_on_5x5(komi=7.5)
    assert game.observed_globals(play(game, "A1 B2")).tolist() == [-15, 1, 0]
    assert game.observed_globals(play(game, "A1 B2 pass")).tolist() == [15, -1, 1]


# ------------------------------------------------------------------ parameters and names


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"size": 1}, "game.size=1 is outside 2..19"),
        ({"size": 20}, "game.size=20 is outside 2..19"),
        ({"komi": 7.3}, "game.komi=7.3 must be a multiple of 0.5"),
        ({"size": 2, "komi": 7.5}, "game.komi=7.5 must be a multiple of 0.5 from -4 to 4"),
        ({"ko": "super"}, "game.ko=super is not one of simple, positional, situational"),
        ({"handicap": 1}, "game.handicap=1: on game.size=9 it must be 0 or from 2 to 9"),
        ({"size": 8, "handicap": 5}, "it must be 0 or from 2 to 4"),
        ({"size": 5, "handicap": 2}, "on game.size=5 it must be 0."),
        ({"max_plies": -1}, "game.max_plies=-1 must be from 1 to 5000"),
        ({"history": 9}, "game.history=9 is outside 0..8"),
        ({"ko": 1}, "game.ko=1 is not a word"),
        ({"komi": "much"}, "game.komi='much' is not a number"),
    ],
)
def test_parameters_out_of_range_are_explained(parameters, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_game("go", **parameters)


def test_points_are_named_as_in_gtp_without_an_i():
    game = load_game("go", size=19)
    assert [game.action_name(action) for action in (0, 8, 18, 360, 361)] == [
        "A1",
        "J1",
        "T1",
        "T19",
        "pass",
    ]
    assert game.parse_action("j1") == 8
    with pytest.raises(ValueError, match=r"'I3' is not a point: .*no I.* from A1 to T19, or pass"):
        game.parse_action("I3")


def test_the_board_is_drawn_with_row_1_at_the_bottom():
    game = go_on_5x5()
    lines = game.render(play(game, "A1 E5"), game.parse_action("E5")).splitlines()
    assert lines[0].split() == list("ABCDE")
    assert lines[1] == "5  . . . .[O]"
    assert lines[5] == "1  X . . . ."
    assert game.render(play(game, "A1 pass"), 25).endswith("pass")
