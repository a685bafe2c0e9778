"""Whole ablations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ddpzero.bench.ablation import cell as cell_module
from ddpzero.bench.ablation import run as run_module
from ddpzero.bench.ablation.offline_job import main as offline_job
from ddpzero.bench.ablation.results import Verdict, read_results
from ddpzero.bench.ablation.run import run_ablate
from ddpzero.bench.ablation.training import CellFailed, TrainingStopped
from ddpzero.bench.ablation.verdicts import SCORE
from ddpzero.games.core.player_errors import PlayerError
from ddpzero.run.models import save_model
from ddpzero.run.record import STATUS_FILE, read_status
from ddpzero.system.errors import UserError
from tests.training.test_offline import TINY, frozen_run

OFFLINE: dict[str, Any] = {
    "mode": "offline",
    "base": [*TINY, "learner.steps_per_epoch=10"],
    "variants": {"base": [], "slow": ["learner.learning_rate=0.0001"]},
    "seeds": [0, 1],
    "steps": 20,
    "judge": {"matches": {"opponents": ["base", "random"], "games": 4, "simulations": 2}},
}

MODEL_COUNTERS = {"learner_step": 20, "samples": 300, "minutes": 0.1}


class Trainings:
    """Trains in this process, and notes each training.

    Stops or fails before the one with the name in stop_before or fail; the one in fail_halfway fails after half of its
    updates.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.stop_before = self.fail = self.fail_halfway = ""

    def __call__(self, command: list[str], log: Path) -> None:
        name = log.stem
        if name == self.stop_before:
            raise TrainingStopped("SIGTERM")
        if name == self.fail:
            raise CellFailed("the disk is full.")
        if name == self.fail_halfway:
            half = [word.replace("max_epochs=2", "max_epochs=1") for word in command]
            assert offline_job(half[3:]) == 0
            status = log.parents[1] / "runs" / name / STATUS_FILE
            status.write_text(json.dumps({**json.loads(status.read_text()), "state": "failed"}))
            raise CellFailed("the disk is full.")
        self.names.append(name)
        assert offline_job(command[3:]) == 0


@pytest.fixture
def trainings(monkeypatch) -> Trainings:
    trainings = Trainings()
    monkeypatch.setattr(cell_module, "run_training", trainings)
    return trainings


@pytest.fixture
def experiment(tmp_path, alone, clean_logging) -> dict[str, Any]:
    return {**OFFLINE, "replay_of": str(frozen_run(tmp_path, alone))}


def ablate(folder: Path, experiment: dict[str, Any], as_json: bool = False) -> int:
    file = folder / "a.yaml"
    file.write_text(yaml.safe_dump(experiment, sort_keys=False))
    return run_ablate(file, folder / "out", as_json)


def test_a_stopped_ablation_continues_and_trains_nothing_twice(
    tmp_path, experiment, trainings, capsys
):
    trainings.stop_before = "base-seed1"
    assert ablate(tmp_path, experiment) == 130
    assert "stopped; the same command continues: ddpzero ablate" in capsys.readouterr().err
    assert trainings.names == ["base-seed0", "slow-seed0"]
    trainings.stop_before = ""
    assert ablate(tmp_path, experiment, as_json=True) == 0
    assert trainings.names == ["base-seed0", "slow-seed0", "base-seed1", "slow-seed1"]
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    scores, differences = (
        {(row["variant"], row["judge"]): row["value"] for row in rows if row["figure"] == figure}
        for figure in ("score", "score_difference")
    )
    assert set(scores) == {("base", "random"), ("slow", "random"), ("slow", "base")}
    assert differences == pytest.approx(
        {
            ("slow", "random"): scores["slow", "random"] - scores["base", "random"],
            ("slow", "base"): scores["slow", "base"] - 0.5,
        }
    )
    assert all(row["seeds"] == [0, 1] for row in rows if "seeds" in row)
    assert {row["variant"] for row in rows if row["figure"] == "loss"} == {"base", "slow"}


def test_variants_and_seeds_may_be_added_but_nothing_else_may_change(
    tmp_path, experiment, trainings, capsys
):
    small = {**experiment, "variants": {"base": []}, "seeds": [0]}
    assert ablate(tmp_path, small) == 0
    assert ablate(tmp_path, {**experiment, "seeds": [0]}) == 0
    assert trainings.names == ["base-seed0", "slow-seed0"]
    table = capsys.readouterr().out
    assert "against random: score, 2 simulations" in table
    with pytest.raises(UserError, match=r"2 finished trainings of another experiment \(steps: was"):
        ablate(tmp_path, {**experiment, "steps": 30})
    assert ablate(tmp_path, small) == 0
    changed = {"base": [], "slow": ["learner.learning_rate=0.0002"]}
    with pytest.raises(UserError, match=r"variants.slow: was \['learner.learning_rate=0.0001'\]"):
        ablate(tmp_path, {**experiment, "variants": changed})


def test_a_failed_training_does_not_end_the_others_and_is_tried_again(
    tmp_path, experiment, trainings, capsys
):
    experiment = {**experiment, "seeds": [0]}
    trainings.fail = "slow-seed0"
    assert ablate(tmp_path, experiment) == 1
    assert "slow-seed0 failed: the disk is full." in capsys.readouterr().err
    trainings.fail = ""
    assert ablate(tmp_path, experiment) == 0
    assert trainings.names == ["base-seed0", "slow-seed0"]


def test_a_target_that_the_replay_buffer_lacks_is_refused_before_the_first_training(
    tmp_path, experiment, trainings
):
    variants = {"base": [], "next": ["loss.next_policy=0.5"]}
    with pytest.raises(UserError, match=r"variant next: replay_of=.* no next_policy_target"):
        ablate(tmp_path, {**experiment, "variants": variants})
    assert not trainings.names


def test_a_variant_is_judged_against_a_finished_base_only(tmp_path, experiment, trainings, capsys):
    experiment = {**experiment, "seeds": [0]}
    trainings.fail_halfway = "base-seed0"
    assert ablate(tmp_path, experiment) == 1
    told = capsys.readouterr().err
    assert "slow-seed0 failed: it is trained, but not judged yet, because it plays against" in told
    assert "base-seed0 has not reached its end" in told
    assert finished(tmp_path) == []
    trainings.fail_halfway = ""
    assert ablate(tmp_path, experiment) == 0
    assert finished(tmp_path) == ["base", "slow"]
    for run_name in ("base-seed0", "slow-seed0"):
        status = read_status(tmp_path / "out" / "runs" / run_name)
        assert status is not None and status["learner_step"] == 20


def test_a_failed_base_spoils_no_variant_that_does_not_play_against_it(
    tmp_path, experiment, trainings
):
    trainings.fail = "base-seed0"
    judge = {"matches": {"opponents": "random", "games": 4, "simulations": 2}}
    assert ablate(tmp_path, {**experiment, "seeds": [0], "judge": judge}) == 1
    assert finished(tmp_path) == ["slow"]


@pytest.mark.parametrize("error", [UserError("no."), PlayerError("no."), MemoryError("no.")])
def test_a_judgment_that_fails_does_not_end_the_others_and_is_tried_again(
    error, tmp_path, experiment, capsys, monkeypatch
):
    experiment = {**experiment, "seeds": [0]}

    def failing(model: Path, *of_judge: Any) -> Iterator[Verdict]:
        if "base-seed0" in str(model) and error is not None:
            raise error
        yield Verdict("random", SCORE, 2, "42")

    monkeypatch.setattr(cell_module, "run_training", finished_run)
    monkeypatch.setattr(cell_module, "verdicts", failing)
    assert ablate(tmp_path, experiment) == 1
    assert "base-seed0 failed: it is trained, but its model" in capsys.readouterr().err
    assert finished(tmp_path) == ["slow"]
    error = None
    assert ablate(tmp_path, experiment) == 0
    assert finished(tmp_path) == ["base", "slow"]


def finished_run(command: list[str], log: Path) -> None:
    """Leave a run that reached its end, with a model."""
    run_dir = log.parents[1] / "runs" / log.stem
    save_model(run_dir, "run-b1c8-s20-d1", b"weights", b"config", MODEL_COUNTERS)
    (run_dir / STATUS_FILE).write_text(json.dumps({"state": "finished"}))


def finished(folder: Path) -> list[str]:
    """Return the variants of the recorded trainings."""
    results = read_results(folder / "out")
    assert results is not None
    return sorted(cell.variant for cell in results.cells)


def test_trainings_of_two_machines_keep_theirs_also_those_of_an_older_file(
    tmp_path, experiment, monkeypatch, capsys
):
    monkeypatch.setattr(cell_module, "run_training", finished_run)
    monkeypatch.setattr(cell_module, "verdicts", lambda *_: [Verdict("random", SCORE, 2, "42")])
    monkeypatch.setattr(run_module, "machine_text", lambda: "a new machine")
    small = {**experiment, "variants": {"base": []}, "seeds": [0]}
    assert ablate(tmp_path, small) == 0
    file = tmp_path / "out" / "results.json"
    document = json.loads(file.read_text())
    assert document["cells"][0].pop("machine") == "a new machine"
    file.write_text(json.dumps({**document, "machine": "an old machine"}))
    capsys.readouterr()
    assert ablate(tmp_path, {**experiment, "seeds": [0]}) == 0
    told = capsys.readouterr()
    assert "earlier trainings ran on an old machine, this machine is a new machine" in told.err
    assert "\na new machine; ddpzero" in told.out and "\nan old machine; ddpzero" in told.out
    results = read_results(tmp_path / "out")
    assert results is not None
    assert {cell.variant: cell.machine for cell in results.cells} == {
        "base": "an old machine",
        "slow": "a new machine",
    }


@pytest.mark.slow
def test_a_training_that_plays_is_judged_at_each_minute(tmp_path, capsys):
    sizes = [*TINY, "actors.num_actors=1", "actors.num_games=8", "search.num_simulations=4"]
    experiment = {
        "base": [*sizes, "arena.num_workers=0", "learner.steps_per_epoch=20"],
        "variants": {"base": []},
        "minutes": [0.02, 0.05],
        "judge": {"matches": {"opponents": ["random"], "games": 4, "simulations": 2}},
    }
    assert ablate(tmp_path, experiment, as_json=True) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    scores = [(row["minutes"], row["judge"]) for row in rows if row["figure"] == "score"]
    assert scores == [(0.02, "random"), (0.05, "random")]
    assert all(row["value"] > 0 for row in rows if row["figure"] == "samples_per_second")
