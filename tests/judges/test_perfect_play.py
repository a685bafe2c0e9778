"""Facts about judging by perfect play."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ddpzero.arena.players import RandomPlayer
from ddpzero.games import describe_game, load_game
from ddpzero.games.core.player_errors import PlayerError
from ddpzero.judges.packaged import POSITIONS_FOLDER
from ddpzero.judges.perfect_play import judge
from ddpzero.judges.solved_positions import ILLEGAL, read_solved_positions
from ddpzero.system.errors import UserError
from tests.recorded import recorded_games

HARD = POSITIONS_FOLDER / "connect_four_hard.npz"
DOTS = POSITIONS_FOLDER / "dots_and_boxes_3x3.npz"


class Scripted:
    """Plays whatever the file's scores make of `key`."""

    name = "scripted"

    def __init__(self, scores, key):
        self._actions = np.array([key(row) for row in scores], dtype=np.int32)

    def choose(self, positions, rng):
        assert len(positions) == len(self._actions)
        return self._actions


def worst_legal(row):
    return np.where(row == ILLEGAL, 1000, row).argmin()


def slowest_with_the_right_outcome(row):
    right = (np.sign(row) == np.sign(row.max())) & (row != ILLEGAL)
    return np.where(right, row, 1000).argmin()


@pytest.fixture
def game():
    return load_game("connect_four")


@pytest.fixture
def solved(game):
    return read_solved_positions(POSITIONS_FOLDER / "connect_four.npz", game)


@pytest.fixture
def damaged(tmp_path):
    """Writes a copy of a file with some arrays replaced (None: left out); returns its path."""

    def write(file=HARD, **replaced):
        arrays = dict(np.load(file, allow_pickle=False)) | replaced
        path = tmp_path / "damaged.npz"
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        return path

    return write


def array_of(file, name):
    return np.load(file, allow_pickle=False)[name].copy()


def hard(name):
    return array_of(HARD, name)


@pytest.mark.parametrize(
    ("name", "num_positions", "num_that_matter"),
    [("connect_four.npz", 1000, 631), ("connect_four_hard.npz", 600, 600)],
)
def test_reads_the_connect_four_files(game, name, num_positions, num_that_matter):
    solved = read_solved_positions(POSITIONS_FOLDER / name, game)
    assert solved.positions.shape == (num_positions, game.spec.position_size)
    assert solved.matters.sum() == num_that_matter


@pytest.mark.parametrize(
    ("rows", "columns", "num_positions", "num_that_matter"),
    [(2, 2, 250, 159), (2, 3, 250, 135), (3, 3, 500, 240)],
)
def test_reads_files_of_dots_and_boxes_and_finds_their_size(
    rows, columns, num_positions, num_that_matter
):
    solved = read_solved_positions(POSITIONS_FOLDER / f"dots_and_boxes_{rows}x{columns}.npz")
    assert solved.game.name == "dots_and_boxes"
    assert vars(solved.game.parameters) == {"rows": rows, "columns": columns}
    assert len(solved.positions) == num_positions
    assert solved.matters.sum() == num_that_matter


def test_of_boards_with_as_many_edges_the_one_whose_rules_fit_is_found(damaged):
    file = POSITIONS_FOLDER / "dots_and_boxes_2x3.npz"
    cells = np.full((5, 7), -1)
    cells.reshape(-1)[load_game("dots_and_boxes", rows=2, columns=3).spec.action_cells] = range(17)
    # old_edges[edge]: the edge of 2 x 3 boxes that becomes this edge of 3 x 2 boxes, rows and columns swapped.
    old_edges = cells.T.reshape(-1)[
        load_game("dots_and_boxes", rows=3, columns=2).spec.action_cells
    ]
    moves, bits = array_of(file, "moves"), np.arange(17)
    drawn = array_of(file, "edge_mask")[:, None] >> old_edges & 1
    swapped = damaged(
        file,
        moves=np.where(moves < 0, -1, np.argsort(old_edges)[moves]),
        move_values=array_of(file, "move_values")[:, old_edges],
        edge_mask=(drawn << bits).sum(axis=1),
    )
    solved = read_solved_positions(swapped)
    assert vars(solved.game.parameters) == {"rows": 3, "columns": 2}
    assert solved.matters.sum() == 135


def test_scores_of_dots_and_boxes_are_the_margins_at_the_end():
    solved = read_solved_positions(DOTS)
    game = solved.game
    num_checked = 0
    for position, scores in zip(solved.positions, solved.scores, strict=True):
        actions = np.flatnonzero(scores != ILLEGAL)
        if len(actions) == 1:
            margin = game.score(game.apply_action(position, int(actions[0])))
            assert scores[actions[0]] == (margin if game.current_player(position) == 0 else -margin)
            num_checked += 1
    assert num_checked == 14


def test_an_edge_may_keep_the_outcome_and_give_boxes_away():
    solved = read_solved_positions(DOTS)
    assert not (solved.is_best & ~solved.keeps).any()
    assert solved.is_best.any(axis=1).all()
    assert solved.random_best_share.mean() == pytest.approx(0.447, abs=0.001)
    assert solved.random_share.mean() == pytest.approx(0.738, abs=0.001)


def test_in_hex_every_action_that_keeps_the_outcome_is_best():
    solved = read_solved_positions(POSITIONS_FOLDER / "hex3.npz")
    assert solved.game.num_actions == 9
    assert solved.matters.sum() == 59
    assert np.array_equal(solved.is_best, solved.keeps)
    assert set(np.unique(solved.scores)) == {ILLEGAL, -1, 1}


def test_in_othello_no_number_is_needed_for_the_pass():
    solved = read_solved_positions(POSITIONS_FOLDER / "othello_endgame.npz")
    assert solved.scores.shape == (400, 65)
    assert (solved.scores[:, 64] == ILLEGAL).all()
    assert solved.matters.sum() == 156
    assert solved.random_best_share.mean() == pytest.approx(0.267, abs=0.001)


def test_a_perfect_player_keeps_everything(solved):
    report = judge(solved, Scripted(solved.scores, np.argmax))
    assert report.keeps_outcome == 1
    assert report.best.all()


def test_a_slow_win_keeps_the_outcome_but_is_not_best(solved):
    report = judge(solved, Scripted(solved.scores, slowest_with_the_right_outcome))
    assert report.kept.all()
    assert 0 < report.best.mean() < 0.7


def test_the_worst_player_fails_wherever_it_matters(solved):
    report = judge(solved, Scripted(solved.scores, worst_legal))
    assert not report.kept[solved.matters].any()
    assert report.kept[~solved.matters].all()


def test_a_random_player_keeps_as_much_as_the_legal_actions_do(game):
    solved = read_solved_positions(HARD, game)
    shares = [judge(solved, RandomPlayer(game), seed=seed).keeps_outcome for seed in range(10)]
    assert np.mean(shares) == pytest.approx(solved.random_share.mean(), abs=0.02)
    assert solved.random_share.mean() == pytest.approx(0.20, abs=0.01)


def test_an_illegal_choice_is_no_verdict(solved):
    with pytest.raises(PlayerError, match="scripted broke the rules"):
        judge(solved, Scripted(solved.scores, np.argmin))


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 and no more"])
def test_a_file_that_is_no_archive_is_told(tmp_path, content):
    path = tmp_path / "junk.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"junk\.npz cannot be read"):
        read_solved_positions(path)


def test_a_single_array_is_told(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"array\.npy cannot be read"):
        read_solved_positions(tmp_path / "array.npy")


def test_pickled_objects_are_never_loaded(damaged):
    path = damaged(moves=np.array([None, "x"], dtype=object))
    with pytest.raises(ValueError, match="cannot be read"):
        read_solved_positions(path)


def test_missing_arrays_are_named(damaged):
    with pytest.raises(ValueError, match="has no board, no scores: it is not a file of solved"):
        read_solved_positions(damaged(board=None, scores=None))


@pytest.mark.parametrize(
    ("name", "words", "described"),
    [
        (
            "connect_four_hard",
            {"name": "tic_tac_toe"},
            "connect_four with rows=6, columns=7, line=4",
        ),
        # Tic-tac-toe has as many actions as this board.
        ("hex3", {"name": "tic_tac_toe"}, "hex with size=3, swap=False"),
        ("hex4", {"name": "hex", "size": 3}, "hex with size=4, swap=False"),
    ],
)
def test_the_file_of_another_game_than_the_players_names_both(name, words, described):
    game = load_game(**words)
    sentence = (
        f"{name}.npz has positions of {described}, but the game here is {describe_game(game)}: "
    )
    with pytest.raises(UserError, match=re.escape(sentence)):
        read_solved_positions(POSITIONS_FOLDER / f"{name}.npz", game)


def test_a_file_of_another_kind_is_no_file_of_solved_positions():
    recorded = recorded_games("tic_tac_toe")
    with pytest.raises(ValueError, match="has no move_values: it is not a file of solved"):
        read_solved_positions(recorded)


def test_a_file_of_no_board_is_told(damaged):
    path = damaged(DOTS, move_values=array_of(DOTS, "move_values")[:, :5])
    with pytest.raises(
        ValueError,
        match="move_values has 5 entries a position, as no board of dots_and_boxes has actions",
    ):
        read_solved_positions(path)


def test_a_file_that_fits_none_of_several_boards_is_told(damaged):
    file = POSITIONS_FOLDER / "dots_and_boxes_2x3.npz"
    path = damaged(file, to_move=1 - array_of(file, "to_move"))
    with pytest.raises(
        ValueError,
        match=r"position 0: player . is to move .* That is as dots_and_boxes with rows=2, columns=3; no other board",
    ):
        read_solved_positions(path)


def test_wrong_kinds_of_arrays_are_told(damaged):
    with pytest.raises(
        ValueError, match=r"scores is float64 \[600, 7\], not 2-dimensional integers"
    ):
        read_solved_positions(damaged(scores=hard("scores").astype(float)))
    with pytest.raises(ValueError, match=r"value is int16 \[5\]"):
        read_solved_positions(damaged(value=hard("value")[:5]))


def test_moves_that_break_the_rules_are_told(damaged):
    moves = hard("moves")
    moves[3, :8] = 0
    with pytest.raises(ValueError, match="position 3, ply 6: action 0 is not legal"):
        read_solved_positions(damaged(moves=moves))


def test_moves_that_lead_elsewhere_are_told(damaged):
    board = hard("board")
    board[5] = 0
    with pytest.raises(ValueError, match="position 5: its moves lead to another board"):
        read_solved_positions(damaged(board=board))


def test_scores_that_disagree_with_the_rules_are_told(damaged):
    scores = hard("scores")
    scores[7] = ILLEGAL
    with pytest.raises(ValueError, match="position 7: its scores mark other actions as illegal"):
        read_solved_positions(damaged(scores=scores))
    with pytest.raises(ValueError, match="position 0: its value is not the highest"):
        read_solved_positions(damaged(value=hard("value") + 1))


def test_lengths_out_of_range_are_told(damaged):
    lengths = hard("lengths")
    lengths[2] = 43
    with pytest.raises(ValueError, match="position 2 has length 43, but there are 42 moves"):
        read_solved_positions(damaged(lengths=lengths))


@pytest.mark.parametrize(
    ("name", "index", "entry", "message"),
    [
        ("to_move", 4, lambda old: 1 - old, "player . is to move after its moves, but its to_move"),
        ("edge_mask", 5, lambda old: old ^ 8, "its moves draw other edges than its edge_mask has"),
        ("boxes_so_far", (6, 1), lambda old: old + 1, "its moves give the players . and . boxes"),
        ("move_values", 7, lambda old: -100, "its move_values mark other actions as illegal"),
        ("value", 8, lambda old: old + 2, "its value is not the highest of its move_values"),
    ],
)
def test_what_disagrees_with_dots_and_boxes_is_told(damaged, name, index, entry, message):
    array = array_of(DOTS, name)
    array[index] = entry(array[index])
    position = index if isinstance(index, int) else index[0]
    with pytest.raises(ValueError, match=f"position {position}: {message}"):
        read_solved_positions(damaged(DOTS, **{name: array}))


def test_boxes_of_more_than_two_players_are_told(damaged):
    boxes = np.zeros((500, 3), dtype=np.int8)
    with pytest.raises(ValueError, match=r"boxes_so_far has 3 entries a position, .* has 2"):
        read_solved_positions(damaged(DOTS, boxes_so_far=boxes))


def outcome_of_tic_tac_toe(board: tuple[int, ...], known: dict[tuple[int, ...], int]) -> int:
    """1, 0 or -1 for the side to move by perfect play. board: 0 empty, 1 the side to move, 2 the other."""
    if board in known:
        return known[board]
    lines = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
    if any(all(board[cell] == 2 for cell in line) for line in lines):
        return -1
    empty = [cell for cell in range(9) if board[cell] == 0]
    following = [(*board[:cell], 1, *board[cell + 1 :]) for cell in empty]
    values = [
        -outcome_of_tic_tac_toe(tuple((0, 2, 1)[stone] for stone in after), known)
        for after in following
    ]
    known[board] = max(values, default=0)
    return known[board]


def test_the_file_of_tic_tac_toe_has_every_position_with_its_outcome():
    solved = read_solved_positions(POSITIONS_FOLDER / "tic_tac_toe.npz")
    boards = [solved.game.board(position) for position in solved.positions]
    assert len({tuple(board) for board in boards}) == len(boards) == 4520
    known: dict[tuple[int, ...], int] = {}
    for position, board, scores in zip(solved.positions, boards, solved.scores, strict=True):
        swap = (0, 1, 2) if solved.game.current_player(position) == 0 else (0, 2, 1)
        assert scores.max() == outcome_of_tic_tac_toe(tuple(swap[stone] for stone in board), known)
