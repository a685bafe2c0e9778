"""The YAML file of an ablation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ddpzero.bench.ablation.experiment import experiment_from, read_experiment
from ddpzero.config.hydra import compose_settings
from ddpzero.system.errors import UserError

FILES = sorted((Path(__file__).parents[3] / "launch" / "ablations").glob("*.yaml"))
GIVEN: dict[str, Any] = {
    "base": "game=tic_tac_toe",
    "variants": {"base": None, "few": "search.num_simulations=4"},
    "seeds": [0, 1],
    "minutes": [1, 2.5],
    "judge": {"matches": {"opponents": "base", "games": 20}},
}


def test_a_single_value_may_stand_for_a_list() -> None:
    experiment = experiment_from(GIVEN)
    assert experiment.base == ("game=tic_tac_toe",)
    assert experiment.variants == {"base": [], "few": ["search.num_simulations=4"]}
    assert experiment.judge.matches is not None
    assert experiment.judge.matches.opponents == ("base",)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_of_launch_ablations_can_be_run(file: Path) -> None:
    experiment = read_experiment(file)
    first, *others = (
        compose_settings([*experiment.base, *overrides])
        for overrides in experiment.variants.values()
    )
    assert others
    assert all(other != first for other in others)


def test_trainings_are_interleaved_by_seed() -> None:
    cells = [cell.run_name for cell in experiment_from(GIVEN).cells()]
    assert cells == ["base-seed0", "few-seed0", "base-seed1", "few-seed1"]


def test_each_training_ends_after_the_last_minute_and_keeps_models_at_the_others() -> None:
    experiment = experiment_from(GIVEN)
    settings = experiment.compose()
    words = experiment.words(list(experiment.cells())[3], settings["few"], Path("out") / "runs")
    assert words[:2] == ["game=tic_tac_toe", "search.num_simulations=4"]
    assert {"learner.max_minutes=2.5", "learner.max_epochs=null", "seed=1"} <= set(words)
    assert {"checkpoint.at_minutes=[1.0]", 'runs_dir="out/runs"'} <= set(words)


def test_steps_become_epochs() -> None:
    given = {**GIVEN, "steps": 1000}
    del given["minutes"]
    experiment = experiment_from(given)
    settings = experiment.compose()
    words = experiment.words(next(experiment.cells()), settings["base"], Path("out"))
    assert {"learner.max_epochs=2", "learner.max_minutes=null"} <= set(words)
    with pytest.raises(UserError, match="steps=700 must be a multiple of the 500 updates of an"):
        experiment_from({**given, "steps": 700}).compose()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"variants": {}}, "variants is empty: name at least one"),
        ({"variants": {"a b": []}}, "variants.a b names a folder: use letters, digits"),
        ({"variants": {"a": [3]}}, r"variants.a\[0\]=3 is not text"),
        ({"seeds": [1, 1]}, r"seeds=\[1, 1\] must be different whole numbers from 0 on"),
        ({"minutes": [2, 1]}, r"minutes=\[2.0, 1.0\] must be positive and ascend"),
        ({"steps": 5}, r"minutes=\[1.0, 2.5\] and steps=5: give one of them"),
        ({"mode": "offline"}, "mode=offline and replay_of=None: offline trains on the replay"),
        ({"mode": "both"}, "mode=both is not one of online, offline"),
        ({"judge": {}}, "judge is empty: give positions"),
        ({"judge": {"matches": {"games": 3}}}, "judge.matches.games=3 must be even"),
        ({"judge": {"matches": {"opponents": []}}}, "judge.matches.opponents is empty"),
        ({"judge": {"matches": {"simulations": -1}}}, "judge.matches.simulations=-1 must be at"),
        ({"judge": {"positions": {"files": None}}}, "judge.positions.files is empty"),
        (
            {"judge": {"positions": {"files": "hex4", "simulations": [0, -1]}}},
            r"judge.positions.simulations=\[0, -1\] must be whole numbers from 0 on",
        ),
        ({"figures": "best"}, r"figures=\['best'\]: 'best' is not one of keeps the outcome, "),
        ({"base": ["seed=3"]}, "seed=3: an ablation sets seed itself; remove it"),
        ({"minuets": 3}, "minuets=3 is not a setting. Did you mean minutes?"),
    ],
)
def test_a_mistake_is_named_by_its_key(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        experiment_from({**GIVEN, **changes})


def test_a_mistake_in_a_variant_shows_before_the_first_training() -> None:
    variants = {"base": [], "typo": ["search.num_simulation=4"]}
    with pytest.raises(UserError, match=r"variant typo: .*search.num_simulation.*Did you mean"):
        experiment_from({**GIVEN, "variants": variants}).compose()


def test_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("variants: {base: []}\n")
    with pytest.raises(UserError, match=r"a\.yaml: judge is empty"):
        read_experiment(file)
