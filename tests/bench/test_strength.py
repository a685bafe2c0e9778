"""The tables of strength after some minutes of training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ddpzero.arena.judging import BEST, KEEPS, KEEPS_WHERE_IT_MATTERS
from ddpzero.bench import strength
from ddpzero.bench.ablation.experiment import Experiment, experiment_from
from ddpzero.bench.ablation.plan import Plan
from ddpzero.bench.ablation.results import Cell, Point, Results, Verdict
from ddpzero.bench.ablation.verdicts import SCORE
from ddpzero.bench.strength_tables import markdown, read_rows
from ddpzero.games import load_game
from ddpzero.system.errors import UserError
from tests.places import REPO

FOLDER = REPO / "launch" / "strength"


def point(minutes: float, *verdicts: Verdict) -> Point:
    return Point(minutes, minutes, "model", 100, 1000, verdicts)


def results(experiment: Experiment, *points_of_seeds: tuple[Point, ...]) -> Results:
    variant = experiment.first
    cells = [
        Cell(variant, seed, (), "ddpzero 1", "a processor, 2 cores", "2026-11-28", 1.0, points)
        for seed, points in enumerate(points_of_seeds)
    ]
    return Results(experiment, tuple(cells))


def save(folder: Path, **of_name: Results) -> None:
    for name, found in of_name.items():
        (folder / name).mkdir()
        found.save(folder / name)


@pytest.fixture
def curve() -> Results:
    """Two minutes of one run, three seeds; the network alone keeps 50, 75 and 100 % after the first one."""
    given = {"title": "Four", "variants": {"quick": []}, "seeds": [0, 1, 2], "minutes": [1, 2]}
    judge = {"positions": {"files": ["hard"], "simulations": [0, 64]}}
    of_seed = [
        tuple(
            point(minute, Verdict("hard", KEEPS, 0, quarters), Verdict("hard", KEEPS, 64, "4444"))
            for minute in (1.0, 2.0)
        )
        for quarters in ("4400", "4440", "4444")
    ]
    return results(experiment_from({**given, "judge": judge}), *of_seed)


@pytest.fixture
def other_game() -> Results:
    given = {"title": "Go", "variants": {"quick": []}, "minutes": [30]}
    judge = {"matches": {"opponents": ["rollout:50"], "games": 4, "simulations": 100}}
    points = (point(30.0, Verdict("rollout:50", SCORE, 100, "42")),)
    return results(experiment_from({**given, "judge": judge}), points)


@pytest.fixture
def endgames() -> Results:
    """A run of one minute, judged by three figures with two numbers of simulations, and in a match."""
    given = {"title": "Othello", "variants": {"quick": []}, "minutes": [1], "figures": BEST}
    judge = {
        "positions": {"files": ["endgames"], "simulations": [0, 64]},
        "matches": {"opponents": ["rollout:50"], "games": 4, "simulations": 100},
    }
    verdicts = [
        Verdict("endgames", figure, simulations, quarters)
        for simulations in (0, 64)
        for figure, quarters in ((KEEPS, "4444"), (KEEPS_WHERE_IT_MATTERS, "44"), (BEST, "4400"))
    ]
    points = (point(1.0, *verdicts, Verdict("rollout:50", SCORE, 100, "44")),)
    return results(experiment_from({**given, "judge": judge}), points)


def finishing(monkeypatch: pytest.MonkeyPatch, folder: Path, **of_name: Results) -> None:
    """Let each experiment end with these results."""

    def finish(plan: Plan, of_plan: Path) -> tuple[Results, list[str]]:
        found = {folder / name: found for name, found in of_name.items()}[of_plan]
        found.save(of_plan)
        return found, []

    monkeypatch.setattr(strength, "finish", finish)


def plan_of(of_name: Results) -> Plan:
    return Plan(of_name.experiment, {}, load_game("tic_tac_toe"), None)


def test_a_curve_names_its_figure_once_and_has_a_line_for_each_minute(tmp_path, curve):
    short = replace(curve.experiment, minutes=(1.0,))
    cells = tuple(replace(cell, points=cell.points[:1]) for cell in curve.cells[:2])
    save(tmp_path, four=curve, four_short=Results(short, cells))
    lines = markdown(read_rows(["four", "four_short"], tmp_path)).splitlines()
    assert lines[:8] == [
        "Four, keeps the outcome in hard:",
        "",
        "| minute | network alone | 64 simulations |",
        "|---|---|---|",
        "| 1 of 1 | 62.5 % (50.0-75.0) | 100.0 % |",
        "| 1 of 2 | 75.0 % (50.0-100.0) | 100.0 % |",
        "| 2 of 2 | 75.0 % (50.0-100.0) | 100.0 % |",
        "| on one GPU | not measured yet | |",
    ]
    assert lines[9] == (
        "Median of 2 or 3 seeds, in brackets the lowest and the highest if they differ. Keeps the outcome: share of "
        "positions in which the move keeps the outcome of perfect play. 1 of 2: minute 1 of a run of 2."
    )


def test_columns_of_a_curve_with_several_figures_name_them(tmp_path, curve):
    cells = [
        replace(cell, points=tuple(with_score(each) for each in cell.points))
        for cell in curve.cells
    ]
    save(tmp_path, four=Results(curve.experiment, tuple(cells)))
    lines = markdown(read_rows(["four"], tmp_path)).splitlines()
    in_hard = "keeps the outcome in hard"
    assert lines[:3:2] == [
        "Four:",
        f"| minute | {in_hard}, network alone | {in_hard}, 64 simulations | score against random |",
    ]


def with_score(of_training: Point) -> Point:
    verdicts = (*of_training.verdicts, Verdict("random", SCORE, None, "44"))
    return replace(of_training, verdicts=verdicts)


def test_other_games_have_a_line_for_each_figure_that_their_file_asks_for(
    tmp_path, endgames, other_game
):
    save(tmp_path, othello=endgames, go=other_game)
    lines = markdown(read_rows(["othello", "go"], tmp_path)).splitlines()
    assert lines[:6] == [
        "| game | training | figure | network alone | with search | simulations |",
        "|---|---|---|---|---|---|",
        "| Othello | 1 minute | exactly best | 50.0 % | 50.0 % | 64 |",
        "|  |  | score against rollout:50 |  | 100.0 % | 100 |",
        "| Go | 30 minutes | score against rollout:50 |  | 75.0 % | 100 |",
        "| all, on one GPU | | not measured yet | | | |",
    ]
    rows = read_rows(["othello"], tmp_path)
    assert {row.figure for row in rows} == {KEEPS, KEEPS_WHERE_IT_MATTERS, BEST, SCORE}
    # A file that asks for a figure that its judge does not give has all.
    unknown = replace(other_game.experiment, figures=(BEST,))
    save(tmp_path, other=replace(other_game, experiment=unknown))
    assert all(row.is_shown for row in read_rows(["other"], tmp_path))


def test_the_origin_is_that_of_the_rows_shown(tmp_path, curve, other_game):
    first, second, third = curve.cells
    later = replace(second, machine="another", version="ddpzero 2", date="2026-12-01")
    save(tmp_path, go=other_game, four=replace(curve, cells=(first, later)))
    assert markdown(read_rows(["four", "go"], tmp_path)).splitlines()[-2:] == [
        "`bash launch/strength.sh four`: ddpzero 1 and ddpzero 2, 2026-11-28 to 2026-12-01, a processor, 2 cores and "
        "another.",
        "`bash launch/strength.sh go`: ddpzero 1, 2026-11-28, a processor, 2 cores.",
    ]
    # The seed of another machine is no longer part of the experiment.
    seeds = replace(curve.experiment, seeds=(0, 2))
    save(tmp_path, fewer=Results(seeds, (first, later, third)))
    (*_, origin) = markdown(read_rows(["fewer"], tmp_path)).splitlines()
    assert origin == "`bash launch/strength.sh fewer`: ddpzero 1, 2026-11-28, a processor, 2 cores."


def test_a_game_measured_alone_keeps_the_others_in_the_tables(
    tmp_path, curve, other_game, monkeypatch, capsys
):
    finishing(monkeypatch, tmp_path, four=curve, go=other_game)
    known = ["four", "go", "hex"]
    for name, of_name in (("go", other_game), ("four", curve)):
        assert strength.run({name: plan_of(of_name)}, known, tmp_path) == 0
    rows = json.loads((tmp_path / "strength.json").read_text())
    assert [(row["experiment"], row["minutes"], row["median"]) for row in rows] == [
        *(("four", 1.0, 0.75), ("four", 1.0, 1.0), ("four", 2.0, 0.75), ("four", 2.0, 1.0)),
        ("go", 30.0, 0.75),
    ]
    assert capsys.readouterr().out.endswith((tmp_path / "strength.md").read_text())


@pytest.mark.parametrize("damaged", ["four", "go"])
def test_results_that_cannot_be_continued_show_before_the_first_training(
    damaged, tmp_path, curve, other_game, monkeypatch
):
    finishing(monkeypatch, tmp_path)
    save(tmp_path, four=curve, go=other_game)
    if damaged == "four":
        (tmp_path / "four" / "results.json").write_text("{}")
    else:
        other_game = replace(other_game, experiment=replace(other_game.experiment, minutes=(20.0,)))
    with pytest.raises(UserError, match=rf"{damaged}.* has (no|1 finished)"):
        strength.run({"go": plan_of(other_game)}, ["four", "go"], tmp_path)


def test_an_unknown_game_even_after_the_output_is_told_with_the_known_ones(capsys):
    assert strength.main([str(FOLDER), "--output", "strength", "chess"]) == 2
    assert "chess is not one of connect_four, connect_four_5_minutes" in capsys.readouterr().err


@pytest.mark.parametrize("name", [file.stem for file in sorted(FOLDER.glob("*.yaml"))])
def test_every_experiment_fits_its_positions_and_has_three_seeds(name):
    (plan,) = strength.read_plans(FOLDER, [name]).values()
    assert plan.experiment.title and len(plan.experiment.seeds) == 3
