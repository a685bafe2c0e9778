"""Facts about what `ddpzero ratings` prints."""

from __future__ import annotations

import json

import pytest

from ddpzero.arena.match_log import MATCHES_FILE
from ddpzero.arena.ratings_report import run_ratings
from ddpzero.run.releases import RELEASES_FILE, read_verdicts
from ddpzero.system.errors import UserError
from tests.arena.test_pool import Run, rule


@pytest.fixture
def rated_run(tmp_path, alone) -> Run:
    """A run whose second model was rejected."""
    run = Run(tmp_path / "x", alone, rule("gate", games=40))
    for step, score in ((1, 0.75), (2, 0.5)):
        run.save(step)
        run.play(score)
    return run


def rows_of(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


def test_the_table_fits_80_columns_and_marks_the_best_and_the_rejected_model(
    rated_run, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    best, rejected = rated_run.pool.models
    run_ratings(str(rated_run.run_dir))
    output = capsys.readouterr().out
    notes = {row[0]: row[-1] for row in rows_of(output) if row}
    assert notes[best.removeprefix("x-")] == "best"
    assert notes[rejected.removeprefix("x-")] == "rejected"
    assert max(map(len, output.splitlines())) <= 80


def test_a_model_or_checkpoint_of_the_run_names_the_run(rated_run, capsys):
    for name in ("x@best", f"x/models/{rated_run.pool.models[0]}"):
        run_ratings(f"{rated_run.run_dir.parent}/{name}")
        assert capsys.readouterr().out.startswith("x: Elo relative to random")


def test_repeated_games_are_said(rated_run, capsys):
    run_ratings(str(rated_run.run_dir))
    assert "differ" not in capsys.readouterr().out
    rated_run.save(3)
    rated_run.play(0.5, num_distinct_games=1)
    run_ratings(str(rated_run.run_dir))
    assert "games differ: the intervals are too narrow." in capsys.readouterr().out


def test_json_has_a_line_for_each_player(rated_run, capsys):
    (rated_run.run_dir / "config.yaml").write_text("game: {name: connect_four}")
    run_ratings(str(rated_run.run_dir), as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["player"] for line in lines} == {*rated_run.pool.models, "random", "rollout:10"}
    assert all(line["low"] <= line["value"] <= line["high"] for line in lines)
    assert {(line["game"], line["run"]) for line in lines} == {("connect_four", "x")}


def test_a_run_without_matches_is_told_how_to_get_them(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(UserError, match=r"x has no matches.*arena\.num_workers"):
        run_ratings(str(tmp_path / "x"))


def test_a_damaged_file_of_matches_is_not_told_as_a_missing_one(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / MATCHES_FILE).write_bytes(b"{]\n\x00\xff\n")
    with pytest.raises(UserError, match=r"matches\.jsonl is damaged: none of its lines"):
        run_ratings(str(tmp_path / "x"))


def test_a_verdict_after_one_that_a_crash_cut_off_is_whole(rated_run):
    with open(rated_run.run_dir / RELEASES_FILE, "ab") as file:
        file.write(b'{"model": "x-0')
    rated_run.open()
    third = rated_run.save(3)
    rated_run.play(1.0)
    assert read_verdicts(rated_run.run_dir)[-1].model == third
    assert len(read_verdicts(rated_run.run_dir)) == 3


def test_a_plot_that_cannot_be_drawn_is_told_before_anything_is_printed(
    rated_run, tmp_path, capsys
):
    pytest.importorskip("matplotlib")
    (tmp_path / "folder.png").mkdir()
    for plot, sentence in (
        ("x.jpg", r"must be the name of a file that ends in \.png, \.svg or \.pdf"),
        ("folder.png", "must be the name of a file"),
        ("nowhere/x.png", r"no file can be written in .*nowhere \(No such file"),
    ):
        with pytest.raises(UserError, match=rf"^--plot {tmp_path / plot}:? {sentence}"):
            run_ratings(str(rated_run.run_dir), plot=str(tmp_path / plot))
    assert capsys.readouterr().out == ""


def test_a_run_whose_name_looks_like_markup_has_a_table(rated_run, tmp_path, capsys):
    for name in ("[bold red]y", "[]y]"):
        rated_run.run_dir.rename(tmp_path / name)
        run_ratings(str(tmp_path / name))
        assert capsys.readouterr().out.startswith(f"{name}: Elo relative to random")
        (tmp_path / name).rename(rated_run.run_dir)


def test_damaged_and_repeated_lines_are_told(rated_run, caplog, capsys):
    matches = rated_run.run_dir / MATCHES_FILE
    lines = matches.read_bytes().splitlines(keepends=True)
    matches.write_bytes(b"".join([*lines, lines[0], b"garbage\n", b'{"key": "torn']))
    run_ratings(str(rated_run.run_dir))
    (record,) = caplog.records
    number = len(lines) + 3
    assert record.getMessage() == (
        f"{matches}: skipped 3 of {number} lines, which are damaged or repeated."
    )
