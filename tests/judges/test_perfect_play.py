"""Facts about judging by perfect play."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ddpzero.arena.players import RandomPlayer
from ddpzero.games import load_game
from ddpzero.judges.perfect_play import judge, run_judge
from ddpzero.judges.solved_positions import ILLEGAL, read_solved_positions

DATA = Path(__file__).parents[1] / "data" / "exact"
HARD = DATA / "connect_four_hard.npz"


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
    return read_solved_positions(DATA / "connect_four.npz", game)


@pytest.fixture
def damaged(tmp_path):
    """Writes a copy of the hard file with some arrays replaced (None: left out); returns its path."""

    def write(**replaced):
        arrays = dict(np.load(HARD, allow_pickle=False)) | replaced
        path = tmp_path / "damaged.npz"
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        return path

    return write


def hard(name):
    return np.load(HARD, allow_pickle=False)[name].copy()


@pytest.mark.parametrize(
    ("name", "num_positions", "num_that_matter"),
    [("connect_four.npz", 1000, 631), ("connect_four_hard.npz", 600, 600)],
)
def test_reads_the_connect_four_files(game, name, num_positions, num_that_matter):
    solved = read_solved_positions(DATA / name, game)
    assert solved.positions.shape == (num_positions, game.spec.position_size)
    assert solved.matters.sum() == num_that_matter


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
    with pytest.raises(RuntimeError, match="scripted broke the rules"):
        judge(solved, Scripted(solved.scores, np.argmin))


def test_prints_a_row_for_each_player(capsys):
    reports = run_judge(HARD, ["random", "rollout:50"])
    output = capsys.readouterr().out
    assert [report.player for report in reports] == ["random", "rollout:50"]
    for word in ("random", "rollout:50", "all 600", "600 matter", "any legal action", "49.6%"):
        assert word in output


def test_json_prints_figures_and_nothing_else(capsys):
    (report,) = run_judge(HARD, ["rollout:50"], as_json=True)
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    by_name = {figure["figure"]: figure for figure in figures}
    assert set(by_name) == {"keeps_outcome", "keeps_outcome_where_it_matters", "plays_best"}
    figure = by_name["keeps_outcome"]
    assert figure["bench"] == "judge"
    assert figure["game"] == "connect_four"
    assert figure["value"] == report.keeps_outcome
    assert figure["low"] < figure["value"] < figure["high"]
    assert figure["num_positions"] == 600


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(ValueError, match=r"nothing\.npz cannot be read: No such file"):
        run_judge("nothing.npz", ["random"])


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 and no more"])
def test_a_file_that_is_no_archive_is_told(tmp_path, content):
    path = tmp_path / "junk.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"junk\.npz cannot be read"):
        run_judge(path, ["random"])


def test_a_single_array_is_told(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"array\.npy cannot be read"):
        run_judge(tmp_path / "array.npy", ["random"])


def test_pickled_objects_are_never_loaded(damaged):
    path = damaged(moves=np.array([None, "x"], dtype=object))
    with pytest.raises(ValueError, match="cannot be read"):
        run_judge(path, ["random"])


def test_missing_arrays_are_named(damaged):
    with pytest.raises(ValueError, match="has no board, no scores: it is not a file of solved"):
        run_judge(damaged(board=None, scores=None), ["random"])


def test_a_file_of_another_board_is_told():
    with pytest.raises(
        ValueError, match="scores has 7 entries a position, but tic_tac_toe here has 9"
    ):
        read_solved_positions(HARD, load_game("tic_tac_toe"))


def test_wrong_kinds_of_arrays_are_told(damaged):
    with pytest.raises(
        ValueError, match=r"scores is float64 \[600, 7\], not 2-dimensional integers"
    ):
        run_judge(damaged(scores=hard("scores").astype(float)), ["random"])
    with pytest.raises(ValueError, match=r"value is int16 \[5\]"):
        run_judge(damaged(value=hard("value")[:5]), ["random"])


def test_moves_that_break_the_rules_are_told(damaged):
    moves = hard("moves")
    moves[3, :8] = 0
    with pytest.raises(ValueError, match="position 3, ply 6: action 0 is not legal"):
        run_judge(damaged(moves=moves), ["random"])


def test_moves_that_lead_elsewhere_are_told(damaged):
    board = hard("board")
    board[5] = 0
    with pytest.raises(ValueError, match="position 5: its moves lead to another board"):
        run_judge(damaged(board=board), ["random"])


def test_scores_that_disagree_with_the_rules_are_told(damaged):
    scores = hard("scores")
    scores[7] = ILLEGAL
    with pytest.raises(ValueError, match="position 7: its scores mark other actions as illegal"):
        run_judge(damaged(scores=scores), ["random"])
    with pytest.raises(ValueError, match="position 0: its value is not the highest"):
        run_judge(damaged(value=hard("value") + 1), ["random"])


def test_lengths_out_of_range_are_told(damaged):
    lengths = hard("lengths")
    lengths[2] = 43
    with pytest.raises(ValueError, match="position 2 has length 43, but there are 42 moves"):
        run_judge(damaged(lengths=lengths), ["random"])
