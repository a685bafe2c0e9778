"""Whole ablations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ddpzero.bench.ablation import cell as cell_module
from ddpzero.bench.ablation.offline_job import main as offline_job
from ddpzero.bench.ablation.run import run_ablate
from ddpzero.bench.ablation.training import CellFailed, TrainingStopped
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


class Trainings:
    """Trains in this process, and notes each training. Stops or fails before the one with the name in either."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.stop_before = self.fail = ""

    def __call__(self, command: list[str], log: Path) -> None:
        name = log.stem
        if name == self.stop_before:
            raise TrainingStopped("SIGTERM")
        if name == self.fail:
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
