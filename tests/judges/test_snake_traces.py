"""Recorded games of snakes against the rules, and what the judge says of records that are wrong or damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddpzero.cli import commands as cli
from ddpzero.games import load_game
from ddpzero.judges.packaged import RECORDED_FOLDER
from ddpzero.judges.rules_report import Mismatch, RulesReport
from ddpzero.judges.snake_traces import verify_snakes
from tests.games.snakes.harness import RECORDED_GAMES, snakes_game

Traces = dict[str, np.ndarray]
ENDS = RECORDED_FOLDER / "snakes3v3_ends.npz"


@pytest.mark.parametrize(
    ("name", "num_games", "num_steps", "num_deaths"),
    [
        ("dev", 200, 40_000, 9_004),
        ("edge_dev", 1_500, 17_845, 16_835),
        ("full_dev", 600, 7_026, 8_503),
        ("ends", 150, 234, 135),
    ],
)
def test_recorded_games_match_at_every_step(name, num_games, num_steps, num_deaths):
    report = verify_snakes(recorded(name), snakes_game())
    assert report.is_clean, report.mismatches
    assert (report.num_games, report.num_plies) == (num_games, num_steps)
    per_snake = ("direction", "ate", "hit", "reward", "score", "length", "body", "heading")
    assert report.num_checks == {
        **dict.fromkeys((*per_snake, "last heading"), 6 * num_steps),
        "respawn": num_deaths,
        **dict.fromkeys(("new beans", "free cells", "beans", "goes on"), num_steps),
    }


# ------------------------------------------------------------------------------- changed records


@pytest.mark.parametrize(
    ("array", "what", "change"),
    [
        ("ate", "ate", lambda entry: 1 - entry),
        ("reward", "reward", lambda entry: entry + 1),
        ("score", "score", lambda entry: entry - 1),
        ("dir", "heading", lambda entry: entry ^ 1),
        ("obs_last_direction", "last heading", lambda entry: entry ^ 1),
    ],
)
def test_a_wrong_entry_of_one_snake_is_found(tmp_path, array, what, change):
    traces = read()
    traces[array][3, 4, 5] = change(traces[array][3, 4, 5])
    mismatch = only_mismatch(verify(traces, tmp_path))
    assert (mismatch.game_index, mismatch.ply, mismatch.agent) == (3, 5, 5)
    assert mismatch.what == what


def test_a_moved_bean_is_found(tmp_path):
    traces = read()
    beans = traces["beans"][7, 2]
    beans[:2] = beans[1], beans[0]
    mismatch = only_mismatch(verify(traces, tmp_path))
    assert (mismatch.game_index, mismatch.ply, mismatch.agent) == (7, 3, None)
    assert mismatch.what == "beans"
    recorded = mismatch.expected.split()
    assert mismatch.got.split() == [recorded[1], recorded[0], *recorded[2:]]


def test_beans_behind_the_last_mean_nothing(tmp_path):
    traces = read("full_dev")
    assert (traces["n_beans"] < 5).any()
    traces["beans"][np.arange(5) >= traces["n_beans"][..., None]] = 3
    traces["new_beans"][np.arange(5) >= traces["n_new_beans"][..., None]] = 250
    assert verify(traces, tmp_path).is_clean


def test_a_new_bean_on_a_snake_is_found(tmp_path):
    traces = read()
    game, step = first_place(traces["n_new_beans"] == 1)
    # The head of snake 0 after that step.
    traces["new_beans"][game, step, 0] = traces["body_cells"][start_of_bodies(traces, game, step)]
    report = verify(traces, tmp_path)
    assert report.num_mismatches["free cells"] == 1
    first = report.mismatches[0]
    assert (first.game_index, first.ply, first.what) == (game, step + 1, "free cells")
    assert first.got == "one of these cells is not free"


def test_a_bean_that_was_not_replaced_is_found(tmp_path):
    traces = read()
    game, step = first_place(traces["n_new_beans"] == 2)
    traces["n_new_beans"][game, step] = 1
    first = verify(traces, tmp_path).mismatches[0]
    assert (first.game_index, first.ply, first.what) == (game, step + 1, "new beans")
    assert (first.expected, first.got) == ("1", "2")


def test_a_wrong_cell_of_a_body_is_found(tmp_path):
    traces = read()
    place = start_of_bodies(traces, 6, 3)
    length = int(traces["length"][6, 3, 0])
    traces["body_cells"][place + length - 1] ^= 1
    mismatch = only_mismatch(verify(traces, tmp_path))
    assert (mismatch.game_index, mismatch.ply, mismatch.agent) == (6, 4, 0)
    assert mismatch.what == "body"
    recorded, got = mismatch.expected.split(), mismatch.got.split()
    assert len(got) == length and recorded[:-1] == got[:-1]
    assert int(recorded[-1]) == int(got[-1]) ^ 1


def test_a_wrong_length_is_found(tmp_path):
    traces = read()
    place = start_of_bodies(traces, 6, 3)
    traces["length"][6, 3, 0] += 1
    traces["body_cells"] = np.insert(traces["body_cells"], place, 0)
    report = verify(traces, tmp_path)
    found = {(mismatch.game_index, mismatch.ply, mismatch.what) for mismatch in report.mismatches}
    assert found == {(6, 4, "length"), (6, 4, "body")}


def test_another_place_to_come_back_is_found(tmp_path):
    traces = read()
    game, step, snake = first_place(traces["hit"] == 1)
    cells = traces["respawn_cells"][game, step, snake]
    cells[:2] = cells[1], cells[0]
    mismatch = only_mismatch(verify(traces, tmp_path))
    assert (mismatch.game_index, mismatch.ply, mismatch.agent) == (game, step + 1, snake)
    assert mismatch.what == "respawn"


def test_a_direction_to_which_the_action_cannot_lead_is_found(tmp_path):
    traces = read()
    moved, reversal = traces["eff_dir"][5, 2, 3], traces["obs_last_direction"][5, 2, 3] ^ 1
    traces["action"][5, 2, 3] = min({0, 1, 2, 3} - {int(moved), int(reversal)})
    mismatch = only_mismatch(verify(traces, tmp_path))
    assert (mismatch.game_index, mismatch.ply, mismatch.agent) == (5, 3, 3)
    assert (mismatch.what, mismatch.got) == ("direction", "its action cannot lead there")


def test_a_reversal_that_was_made_is_found(tmp_path):
    traces = read()
    was_reversal = traces["action"] == traces["obs_last_direction"] ^ 1
    game, step, snake = first_place(was_reversal & valid(traces)[..., None])
    traces["eff_dir"][game, step, snake] = traces["action"][game, step, snake]
    first = verify(traces, tmp_path).mismatches[0]
    assert (first.game_index, first.ply, first.agent) == (game, step + 1, snake)
    assert first.what == "direction"


def test_a_game_that_is_said_to_be_over_too_soon_is_found(tmp_path):
    traces = read()
    traces["done"][8, 1] = 1
    mismatch = only_mismatch(verify(traces, tmp_path))
    assert (mismatch.game_index, mismatch.ply, mismatch.what) == (8, 2, "goes on")
    assert (mismatch.expected, mismatch.got) == ("the game is over", "the game goes on")


def test_a_replay_stops_where_the_rules_end_the_game(tmp_path):
    traces = read("dev", num_games=2)
    traces["init_step_cnt"][1] = 41
    report = verify(traces, tmp_path)
    mismatch = only_mismatch(report)
    assert (mismatch.game_index, mismatch.ply, mismatch.what) == (1, 160, "goes on")
    assert report.num_plies == 200 + 160


def test_the_report_counts_draws_and_exits_with_1(tmp_path, capsys):
    traces = read()
    traces["reward"][3, 4, 1:] += 1
    file = write(traces, tmp_path)
    assert cli.main(["verify", "snakes", str(file)]) == 1
    printed = capsys.readouterr().out
    num_steps = int(traces["n_steps"].sum())
    assert f"{file}: 20 games of snakes, {num_steps} steps\n" in printed
    assert f"  reward      {6 * num_steps:>9} checks        5 mismatches\n" in printed
    recorded = int(traces["reward"][3, 4, 1])
    assert (
        f"\ngame 3, after 5 steps, snake 1: reward\n  recorded:  {recorded}\n  rules say: {recorded - 1}\n"
        f"step {int(traces['init_step_cnt'][3]) + 4} of 200   "
    ) in printed
    assert printed.endswith("\n2 more mismatches.\n")


def test_a_clean_report_exits_with_0(capsys):
    assert cli.main(["verify", "snakes", str(ENDS)]) == 0
    assert "  in all          13707 checks        0 mismatches\n" in capsys.readouterr().out


def test_the_drawing_is_the_board_after_the_step(tmp_path):
    traces = read()
    traces["reward"][3, 4, 5] += 1
    drawing = only_mismatch(verify(traces, tmp_path)).drawing
    board = "".join(drawing.splitlines()[1:]).replace(" ", "")
    beans = traces["beans"][3, 4, : traces["n_beans"][3, 4]]
    assert sorted(beans) == [cell for cell, letter in enumerate(board) if letter == "*"]
    place = start_of_bodies(traces, 3, 4)
    for length in traces["length"][3, 4]:
        assert board[traces["body_cells"][place]] in "^v<>"
        place += int(length)


# ------------------------------------------------------------------------------- damaged records

# What is wrong with the file, and what is said of it.
DAMAGES = {
    "array missing": (lambda t: t.pop("hit"), "lacks the array hit: it is not a trace file"),
    "floats": (lambda t: t.update(reward=t["reward"] / 2), "reward is float64 with 3 dimensions"),
    "flags": (lambda t: t.update(done=t["done"] > 0), "done is bool with 2 dimensions"),
    "flat": (lambda t: t.update(dir=t["dir"].ravel()), "dir is int8 with 1 dimensions: it must be"),
    "episodes": (lambda t: t.update(init_dir=t["init_dir"][1:]), r"init_dir has shape \(19, 6\)"),
    "steps": (lambda t: t.update(ate=t["ate"][:, 1:]), r"ate has shape \(20, 11, 6\): it must be"),
    "snakes": (lambda t: t.update(score=t["score"][..., 1:]), r"score has shape \(20, 12, 5\)"),
    "other snakes": (
        lambda t: t.update(init_len=t["init_len"][:, 1:]),
        "has 5 snakes, but game.snakes=6: give the parameters",
    ),
    "other beans": (
        lambda t: t.update(init_beans=t["init_beans"][:, 1:]),
        "has 4 beans, but game.beans=5",
    ),
    "bodies cut": (lambda t: t.update(body_cells=t["body_cells"][1:]), "body_cells has shape"),
    "starts cut": (
        lambda t: t.update(init_body_cells=t["body_cells"]),
        "init_body_cells has shape",
    ),
    "too many steps": (
        lambda t: t["n_steps"].put(4, 13),
        "n_steps holds 13: it must be from 0 to 12",
    ),
    "negative steps": (lambda t: t["n_steps"].put(4, -1), "n_steps holds -1"),
    "step 0": (lambda t: t["init_step_cnt"].put(4, 0), "init_step_cnt holds 0: .* from 1 to 200"),
    "short start": (lambda t: t["init_len"].put(4, 2), "init_len holds 2: .* from 3 to 200"),
    "no direction": (lambda t: t["eff_dir"].put(4, 4), "eff_dir holds 4: .* from 0 to 3"),
    "no action": (lambda t: t["action"].put(4, 255), "action holds 255"),
    "no heading": (lambda t: t["init_dir"].put(4, -1), "init_dir holds -1"),
    "no cell": (lambda t: t["body_cells"].put(4, 200), "body_cells holds 200: .* from 0 to 199"),
    "no start cell": (lambda t: t["init_body_cells"].put(4, 255), "init_body_cells holds 255"),
    "no bean's cell": (lambda t: t["init_beans"].put(4, 254), "init_beans holds 254"),
    "six beans": (lambda t: t["n_beans"].put(4, 6), "n_beans holds 6: .* from 0 to 5"),
    "beans behind nothing": (lambda t: t["init_beans"].put(2, 255), "init_beans has a bean behind"),
    "no new bean's cell": (
        lambda t: (t["n_new_beans"].put(0, 1), t["new_beans"].put(0, 200)),
        "new_beans holds 200",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path, damage, message):
    traces = read()
    damage(traces)
    with pytest.raises(ValueError, match=message):
        verify(traces, tmp_path)


def test_what_is_not_a_file_of_arrays_is_refused(tmp_path, capsys):
    (tmp_path / "text.npz").write_text("no arrays")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "objects.npz", **(read() | {"action": np.array([{}], dtype=object)}))
    whole = ENDS.read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name in ("text.npz", "empty.npz", "array.npy", "objects.npz", "cut.npz"):
        assert cli.main(["verify", "snakes", str(tmp_path / name)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"ddpzero: {tmp_path / name} cannot be read: it ")
    assert cli.main(["verify", "snakes", str(tmp_path / "nothing.npz")]) == 2
    assert "nothing.npz cannot be read: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["game.snakes=4"], "has 6 snakes, but game.snakes=4: give the parameters"),
        (["game.beans=6"], "has 5 beans, but game.beans=6"),
        (["game.rows=9"], "it must be from 0 to 179"),
        (["game.steps=40"], "init_step_cnt holds "),
        (
            ["game.rows=20"],
            "game.rows=20 by game.columns=20: recorded games have at most 255 cells",
        ),
        (["game.rows=2"], "game.rows=2 is outside 3..64"),
        (["game=gomoku"], "game=gomoku: this command replays games of snakes"),
    ],
)
def test_a_file_of_another_board_is_refused(settings, sentence, capsys):
    file = RECORDED_GAMES / "snakes3v3_edge_dev.npz"
    assert cli.main(["verify", "snakes", str(file), *settings]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ddpzero: ") and error.count("\n") == 1
    assert sentence in error


def test_a_board_of_the_same_size_and_another_shape_does_not_match(tmp_path):
    report = verify_snakes(write(read(), tmp_path), snakes_game(rows=20, columns=10))
    assert report.num_mismatches["body"] > 100


def test_a_board_game_has_no_snakes():
    with pytest.raises(ValueError, match="game=tic_tac_toe: this command replays games of snakes"):
        verify_snakes(ENDS, load_game("tic_tac_toe"))


# --------------------------------------------------------------------------------------- helpers


def recorded(name: str) -> Path:
    """A file of the package, or one that only the tests have."""
    folder = RECORDED_FOLDER if name == "ends" else RECORDED_GAMES
    return folder / f"snakes3v3_{name}.npz"


def read(name: str = "edge_dev", num_games: int = 20) -> Traces:
    """The first games of a file."""
    path = recorded(name)
    with np.load(path, allow_pickle=False) as archive:
        whole = {key: archive[key] for key in archive.files if not key.startswith("policy")}
    traces = {
        key: array[:num_games].copy()
        for key, array in whole.items()
        if key not in ("init_body_cells", "body_cells")
    }
    lengths = traces["length"][valid(traces)]
    for key, sizes in (("init_body_cells", traces["init_len"]), ("body_cells", lengths)):
        traces[key] = whole[key][: int(sizes.sum(dtype=np.int64))].copy()
    return traces


def valid(traces: Traces) -> np.ndarray:
    """`[E, T]` bool: the steps that were played."""
    return np.arange(traces["done"].shape[1]) < traces["n_steps"][:, None]


def first_place(which: np.ndarray) -> tuple[int, ...]:
    return tuple(int(index) for index in np.argwhere(which)[0])


def start_of_bodies(traces: Traces, game: int, step: int) -> int:
    """Where in body_cells the bodies after a step begin."""
    is_before = valid(traces)
    is_before[game, step:] = False
    is_before[game + 1 :] = False
    return int(traces["length"][is_before].sum(dtype=np.int64))


def write(traces: Traces, folder: Path) -> Path:
    np.savez(folder / "traces.npz", **traces)
    return folder / "traces.npz"


def verify(traces: Traces, folder: Path) -> RulesReport:
    return verify_snakes(write(traces, folder), snakes_game())


def only_mismatch(report: RulesReport) -> Mismatch:
    assert sum(report.num_mismatches.values()) == len(report.mismatches) == 1
    return report.mismatches[0]
