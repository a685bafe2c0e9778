from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddpzero.games import Game, load_game
from ddpzero.judges.rules_traces import print_report, verify_rules
from tests.places import OWN_GAMES
from tests.recorded import recorded_games

KIND_SIX, KIND_SEVEN, KIND_NINE = 2, 3, 4  # `kind` in gomoku15_special.npz


@pytest.mark.parametrize(
    ("file_name", "game_name", "num_games", "num_plies"),
    [
        ("tic_tac_toe", "tic_tac_toe", 300, 2282),
        ("connect_four", "connect_four", 300, 7171),
        ("gomoku15", "gomoku", 300, 32409),
        ("gomoku15_special", "gomoku", 100, 5545),
    ],
)
def test_recorded_games_match_at_every_ply(file_name, game_name, num_games, num_plies):
    report = verify_rules(recorded_games(file_name), load_game(game_name))
    assert report.is_clean, report.mismatches
    assert (report.num_games, report.num_plies) == (num_games, num_plies)
    assert report.num_checks == {
        "legal mask": num_plies,
        "action": num_plies,
        "mover": num_plies,
        "goes on": num_plies,
        "over": num_games,
        "final board": num_games,
        "returns": num_games,
    }


def test_a_flipped_legal_bit_is_found(tmp_path):
    traces = read("connect_four")
    traces["legal_bits"][traces["legal_offsets"][7] + 2, 0] ^= 1 << 3
    report = verify_rules(write(traces, tmp_path), load_game("connect_four"))
    assert only_mismatch(report) == (7, 2, "legal mask", "d is not legal", "d is legal")


def test_bits_behind_the_last_action_mean_nothing(tmp_path):
    traces = read("connect_four")
    traces["legal_bits"] |= 1 << 7
    assert verify_rules(write(traces, tmp_path), load_game("connect_four")).is_clean


def test_a_wrong_mover_is_found(tmp_path):
    traces = read("tic_tac_toe")
    traces["players"][11, 4] = 1
    report = verify_rules(write(traces, tmp_path), load_game("tic_tac_toe"))
    assert only_mismatch(report) == (11, 4, "mover", "1", "0")


def test_a_wrong_result_is_found(tmp_path):
    traces = read("tic_tac_toe")
    game_index = int(np.flatnonzero(traces["returns"][:, 0] == 1)[0])
    traces["returns"][game_index] = (-1, 1)
    report = verify_rules(write(traces, tmp_path), load_game("tic_tac_toe"))
    ply = int(traces["lengths"][game_index])
    assert only_mismatch(report) == (game_index, ply, "returns", "-1 1", "1 -1")


def test_a_wrong_final_board_is_found(tmp_path):
    traces = read("gomoku15")
    cell = int(np.flatnonzero(traces["final_board"][42] == 0)[0])
    traces["final_board"][42, cell] = 2
    report = verify_rules(write(traces, tmp_path), load_game("gomoku"))
    ply = int(traces["lengths"][42])
    expected, got = f"cell {cell} is 2", f"cell {cell} is 0"
    assert only_mismatch(report) == (42, ply, "final board", expected, got)


def test_a_move_that_the_rules_forbid_ends_the_replay_of_its_game(tmp_path):
    traces = read("tic_tac_toe")
    traces["moves"][5, 3] = traces["moves"][5, 0]
    report = verify_rules(write(traces, tmp_path), load_game("tic_tac_toe"))
    assert only_mismatch(report)[:3] == (5, 3, "action")
    assert report.num_plies == 2282 - (traces["lengths"][5] - 3)
    assert report.num_checks["over"] == 299


def test_a_game_that_ends_too_early_by_the_rules_is_found():
    report = verify_rules(recorded_games("connect_four"), load_game("connect_four", line=3))
    assert report.num_mismatches["goes on"] > 200
    assert {mismatch.what for mismatch in report.mismatches} == {"legal mask", "action", "goes on"}


def test_a_game_that_goes_on_too_long_by_the_rules_is_found():
    report = verify_rules(recorded_games("gomoku15_special"), load_game("gomoku", exact_five=True))
    kinds = read("gomoku15_special")["kind"]
    num_overlines = np.isin(kinds, (KIND_SIX, KIND_SEVEN, KIND_NINE)).sum()
    assert {what: n for what, n in report.num_mismatches.items() if n} == {"over": num_overlines}
    assert kinds[report.mismatches[0].game_index] == KIND_SIX
    assert report.mismatches[0].expected == "the game is over"
    assert report.mismatches[0].got == "the game goes on"
    assert "[X]" in report.mismatches[0].drawing


def test_scores_and_ownership_are_compared_where_the_game_has_them(tmp_path):
    game = load_game("pairs", source=str(OWN_GAMES / "pairs.py"))
    traces = record(game, num_games=10)
    report = verify_rules(write(traces, tmp_path), game)
    assert report.is_clean
    assert report.not_checked == []
    assert report.num_checks["score"] == report.num_checks["ownership"] == 10

    traces["score_first_minus_second"][3] += 2
    traces["final_ownership"][6, 1] *= -1
    report = verify_rules(write(traces, tmp_path), game)
    assert [(m.game_index, m.what) for m in report.mismatches] == [(3, "score"), (6, "ownership")]


def test_a_game_without_points_says_so(tmp_path, capsys):
    traces = read("tic_tac_toe")
    traces["score_first_minus_second"] = np.zeros(300, dtype=np.int16)
    traces["final_ownership"] = np.zeros((300, 9), dtype=np.int8)
    report = verify_rules(write(traces, tmp_path), load_game("tic_tac_toe"))
    assert print_report(report) == 0
    printed = capsys.readouterr().out
    assert "not checked: the recorded scores, for tic_tac_toe has no kernel score" in printed
    assert "not checked: the recorded ownership" in printed


def test_the_report_counts_and_draws(tmp_path, capsys):
    traces = read("connect_four")
    traces["players"][0, :4] ^= 1
    path = write(traces, tmp_path)
    assert print_report(verify_rules(path, load_game("connect_four"))) == 1
    printed = capsys.readouterr().out
    assert f"{path}: 300 games of connect_four, 7171 plies" in printed
    assert "  mover            7171 checks        4 mismatches" in printed
    assert "  in all          29584 checks        4 mismatches" in printed
    assert "game 0, after 1 plies: mover\n  recorded:  0\n  rules say: 1\n   a b c" in printed
    assert printed.endswith("\n1 more mismatches.\n")


def test_a_clean_report_ends_with_exit_code_0(capsys):
    report = verify_rules(recorded_games("tic_tac_toe"), load_game("tic_tac_toe"))
    assert print_report(report) == 0
    assert "  in all          10028 checks        0 mismatches\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("game_name", "parameters", "message"),
    [
        (
            "connect_four",
            {"columns": 5},
            r"has num_actions=7, but connect_four .*columns=5.* has 5: ",
        ),
        ("connect_four", {"rows": 7}, r"has num_cells=42, but connect_four rows=7 .* has 49: "),
        ("tic_tac_toe", {}, r"has num_actions=7, but tic_tac_toe has 9: give the game"),
    ],
)
def test_a_file_of_another_board_is_refused(game_name, parameters, message):
    with pytest.raises(ValueError, match=message):
        verify_rules(recorded_games("connect_four"), load_game(game_name, **parameters))


BROKEN_TRACES = {
    "array missing": (lambda t: t.pop("players"), "lacks the array players"),
    "floats": (lambda t: t.update(moves=t["moves"].astype(float)), "moves is float64"),
    "flat": (lambda t: t.update(returns=t["returns"].reshape(-1)), "returns is int8 with 1 dim"),
    "shapes": (lambda t: t.update(players=t["players"][1:]), r"players has shape \(299, 9\)"),
    "masks missing": (lambda t: t.update(legal_bits=t["legal_bits"][1:]), r"legal_bits has shape"),
    "offsets": (lambda t: t["legal_offsets"].put(3, 0), "running sum of lengths"),
    "lengths": (
        # One game too long and one too short, the sum as it was.
        lambda t: t["lengths"].put([0, 1], [t["lengths"][:2].sum() + 1, -1]),
        "lengths must be from 0 to 9",
    ),
    "moves": (lambda t: t["moves"].put(0, 9), "moves must be from 0 to 8"),
}


@pytest.mark.parametrize(("damage", "message"), BROKEN_TRACES.values(), ids=BROKEN_TRACES)
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path, damage, message):
    traces = read("tic_tac_toe")
    damage(traces)
    with pytest.raises(ValueError, match=message):
        verify_rules(write(traces, tmp_path), load_game("tic_tac_toe"))


def test_what_is_not_a_trace_file_is_refused(tmp_path):
    game = load_game("tic_tac_toe")
    with pytest.raises(ValueError, match=r"nothing\.npz cannot be read: No such file"):
        verify_rules(tmp_path / "nothing.npz", game)
    (tmp_path / "text.npz").write_text("no arrays")
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "objects.npz", moves=np.array([{}], dtype=object))
    whole = recorded_games("tic_tac_toe").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name in ("text.npz", "array.npy", "objects.npz", "cut.npz"):
        with pytest.raises(ValueError, match=f"{name} cannot be read: it "):
            verify_rules(tmp_path / name, game)


def read(name: str) -> dict[str, np.ndarray]:
    with np.load(recorded_games(name), allow_pickle=False) as archive:
        return {key: archive[key].copy() for key in archive.files}


def write(traces: dict[str, np.ndarray], folder: Path) -> Path:
    np.savez(folder / "traces.npz", **traces)
    return folder / "traces.npz"


def only_mismatch(report) -> tuple[int, int, str, str, str]:
    assert sum(report.num_mismatches.values()) == len(report.mismatches) == 1
    mismatch = report.mismatches[0]
    return mismatch.game_index, mismatch.ply, mismatch.what, mismatch.expected, mismatch.got


def record(game: Game, num_games: int) -> dict[str, np.ndarray]:
    """Random games in the format of a trace file, with score and ownership."""
    rng = np.random.default_rng(0)
    moves = np.full((num_games, game.spec.max_plies), -1, dtype=np.int16)
    players = np.full_like(moves, -1, dtype=np.int8)
    legal_bits, lengths, ends = [], [], []
    for game_index in range(num_games):
        position, ply = game.initial_position(), 0
        while not game.is_terminal(position):
            legal = game.legal_actions(position)
            legal_bits.append(np.packbits(legal, bitorder="little"))
            players[game_index, ply] = game.current_player(position)
            moves[game_index, ply] = rng.choice(np.flatnonzero(legal))
            position = game.apply_action(position, int(moves[game_index, ply]))
            ply += 1
        lengths.append(ply)
        ends.append(position)
    return {
        "moves": moves,
        "players": players,
        "lengths": np.array(lengths, dtype=np.int16),
        "legal_bits": np.stack(legal_bits),
        "legal_offsets": np.concatenate([[0], np.cumsum(lengths)]),
        "returns": np.array([game.returns(end) for end in ends], dtype=np.int8),
        "final_board": np.array([game.board(end) for end in ends]),
        "num_actions": np.int32(game.num_actions),
        "num_cells": np.int32(game.num_cells),
        "score_first_minus_second": np.array([game.score(end) for end in ends], dtype=np.int16),
        "final_ownership": np.array([game.ownership(end) for end in ends]),
    }
