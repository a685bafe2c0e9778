"""The tables of strength after some minutes of training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ddpzero.arena.judging import KEEPS
from ddpzero.bench import strength
from ddpzero.bench.ablation.experiment import Experiment, experiment_from
from ddpzero.bench.ablation.plan import Plan
from ddpzero.bench.ablation.results import Cell, Point, Results, Verdict
from ddpzero.bench.ablation.verdicts import SCORE
from ddpzero.games import load_game
from tests.places import REPO

FOLDER = REPO / "launch" / "strength"


def point(minutes: float, *verdicts: Verdict) -> Point:
    return Point(minutes, minutes, "model", 100, 1000, verdicts)


def results(experiment: Experiment, *points_of_seeds: tuple[Point, ...]) -> Results:
    variant = experiment.first
    cells = [
        Cell(variant, seed, (), "ddpzero 1", "2026-11-28", 1.0, points)
        for seed, points in enumerate(points_of_seeds)
    ]
    return Results(experiment, "a processor, 2 cores", tuple(cells))


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


def test_a_curve_has_a_line_for_each_minute_and_the_others_a_line_for_each_game(
    tmp_path, curve, other_game
):
    for name, of_name in (("four", curve), ("go", other_game)):
        (tmp_path / name).mkdir()
        of_name.save(tmp_path / name)
    lines = strength.markdown(strength.read_rows(["four", "go"], tmp_path)).splitlines()
    assert lines[0] == (
        "| Four: minute | of a run of | hard, network alone | hard, 64 simulations |"
    )
    values = "75.0 % (50.0-100.0) | 100.0 % (100.0-100.0)"
    assert lines[2:5] == [
        f"| 1 | 2 minutes | {values} |",
        f"| 2 | 2 minutes | {values} |",
        "| one GPU | | not measured yet | |",
    ]
    assert lines[8] == "| Go | 30 minutes | rollout:50, 100 simulations: score 75.0 % |"
    assert "`bash launch/strength.sh four go`, ddpzero 1, 2026-11-28, a proc" in lines[-1]


def test_all_results_so_far_are_written_after_each_experiment(
    tmp_path, curve, other_game, monkeypatch, capsys
):
    known = {tmp_path / "four": curve, tmp_path / "go": other_game}

    def finish(plan: Plan, folder: Path) -> tuple[Results, list[str]]:
        known[folder].save(folder)
        return known[folder], []

    monkeypatch.setattr(strength, "finish", finish)
    game = load_game("tic_tac_toe")
    four, go = (Plan(of_name.experiment, {}, game, None) for of_name in known.values())
    assert strength.run({"four": four, "go": go}, tmp_path) == 0
    rows = json.loads((tmp_path / "strength.json").read_text())
    assert [(row["experiment"], row["minutes"], row["median"]) for row in rows] == [
        *(("four", 1.0, 0.75), ("four", 1.0, 1.0), ("four", 2.0, 0.75), ("four", 2.0, 1.0)),
        ("go", 30.0, 0.75),
    ]
    assert capsys.readouterr().out == (tmp_path / "strength.md").read_text()


def test_an_unknown_game_even_after_the_output_is_told_with_the_known_ones(capsys):
    assert strength.main([str(FOLDER), "--output", "strength", "chess"]) == 2
    assert "chess is not one of connect_four, connect_four_5_minutes" in capsys.readouterr().err


@pytest.mark.parametrize("name", [file.stem for file in sorted(FOLDER.glob("*.yaml"))])
def test_every_experiment_fits_its_positions_and_has_three_seeds(name):
    (plan,) = strength.read_plans(FOLDER, [name]).values()
    assert plan.experiment.title and len(plan.experiment.seeds) == 3
