"""Facts about what `ddpzero ratings` prints."""

from __future__ import annotations

import json

import pytest

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


def test_json_has_a_line_for_each_player(rated_run, capsys):
    run_ratings(str(rated_run.run_dir), as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["player"] for line in lines} == {*rated_run.pool.models, "random", "rollout:10"}
    assert all(line["low"] <= line["value"] <= line["high"] for line in lines)


def test_a_run_without_matches_is_told_how_to_get_them(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(UserError, match=r"x has no matches.*arena\.num_workers"):
        run_ratings(str(tmp_path / "x"))


def test_a_verdict_after_one_that_a_crash_cut_off_is_whole(rated_run):
    with open(rated_run.run_dir / RELEASES_FILE, "ab") as file:
        file.write(b'{"model": "x-0')
    rated_run.open()
    third = rated_run.save(3)
    rated_run.play(1.0)
    assert read_verdicts(rated_run.run_dir)[-1].model == third
    assert len(read_verdicts(rated_run.run_dir)) == 3
