"""A new run that begins with the weights of another one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.hydra import compose_settings
from ddpzero.run.checkpoint_content import load_weights
from ddpzero.run.initial_weights import find_checkpoint, load_initial_weights
from ddpzero.run.ranks import Ranks, join_ranks
from ddpzero.system.errors import UserError
from tests.run.checkpointed_runs import saved_run, snapshot
from tests.training.whole_runs import run

# What tests.run.checkpointed_runs keeps: one kernel, filled with the number of the step.
EXPECTED = {"conv.weight": torch.zeros(2, 3)}


@pytest.fixture
def alone() -> Iterator[Ranks]:
    with join_ranks("cpu", 30) as ranks:
        yield ranks


@pytest.fixture
def runs_dir(tmp_path: Path, alone: Ranks) -> Path:
    """A run `old` with checkpoints of 100, 200 and 300 episodes, at steps 1, 2 and 3."""
    checkpoints = saved_run(tmp_path / "old", alone)
    for step in (1, 2, 3):
        counters = {"learner_step": step, "samples": 10, "episodes": 100 * step}
        checkpoints.save(snapshot(step, counters=counters))
    return tmp_path


def test_the_newest_checkpoint_unless_an_episode_is_said(runs_dir: Path, alone: Ranks):
    for source, step in {
        "old": 3,
        str(runs_dir / "old"): 3,
        "old@300": 3,
        "old@299": 2,
        f"{runs_dir / 'old'}@100": 1,
        str(find_checkpoint("old@200", runs_dir)): 2,
    }.items():
        weights = load_initial_weights(source, runs_dir, EXPECTED, alone)
        assert weights["conv.weight"].unique().tolist() == [step], source


def test_a_damaged_checkpoint_is_passed_over(runs_dir: Path, alone: Ranks):
    (find_checkpoint("old", runs_dir) / "manifest.json").write_text("{")
    weights = load_initial_weights("old@300", runs_dir, EXPECTED, alone)
    assert weights["conv.weight"].unique().tolist() == [2]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("new", r"init_from=new: neither new nor .*/new is the folder of a run"),
        ("old@99", r"has no checkpoint of at most 99 episodes; it has 100, 200, 300"),
        ("old@late", r"'late' after @ is neither a number of episodes"),
        ("old@", r"'' after @ is neither a number of episodes"),
    ],
)
def test_a_source_that_is_not_there_is_explained(
    runs_dir: Path, alone: Ranks, source: str, sentence: str
):
    with pytest.raises(UserError, match=sentence):
        load_initial_weights(source, runs_dir, EXPECTED, alone)


def test_an_episode_of_a_single_checkpoint_is_refused(runs_dir: Path, alone: Ranks):
    source = f"{find_checkpoint('old', runs_dir)}@100"
    with pytest.raises(UserError, match=r"is a checkpoint, not a run: omit @100"):
        load_initial_weights(source, runs_dir, EXPECTED, alone)


@pytest.mark.parametrize(
    "expected",
    [{"conv.weight": torch.zeros(2, 4)}, {"linear.weight": torch.zeros(2, 3)}],
)
def test_networks_of_another_shape_are_refused(runs_dir: Path, alone: Ranks, expected):
    with pytest.raises(
        UserError, match=r"init_from=old: the networks of run-b1c8-s96-d10 differ from"
    ):
        load_initial_weights("old", runs_dir, expected, alone)


def test_a_run_begins_with_another_runs_weights_and_its_own_counters(tmp_path: Path):
    settings = ["+experiment=snakes", "game.rows=6", "game.columns=8", "game.snakes=4"]
    settings += ["game.steps=20", "network.width=8", "actors.num_actors=1", "actors.num_games=4"]
    settings += ["replay.min_samples=50", "learner.batch_size=16", "learner.max_epochs=1"]
    run(tmp_path / "a", settings, "learner.steps_per_epoch=20")
    source = f"init_from={tmp_path / 'a' / 'tiny'}"
    # So small a rate that the weights stay where they were.
    run(
        tmp_path / "b", settings, source, "learner.steps_per_epoch=2", "learner.learning_rate=1e-12"
    )
    before, after = (load_weights(tmp_path / folder / "tiny") for folder in "ab")
    assert after.counters["learner_step"] == 2
    for name, value in before.weights.items():
        torch.testing.assert_close(after.weights[name], value, msg=name)


@pytest.mark.parametrize(
    "settings",
    [
        ["+experiment=snakes", "game.snakes=2", "network.width=8"],
        ["game=connect_four", "network.blocks=1", "network.channels=4"],
    ],
    ids=["ddpg", "alphazero"],
)
def test_weights_of_another_version_are_refused_in_a_sentence(settings: list[str]):
    composed = compose_settings(settings)
    algorithm = load_algorithm(composed)
    updater = algorithm.make_updater(
        algorithm.make_networks(),
        lambda network: network,
        composed.learner,
        torch.device("cpu"),
        seed=0,
    )
    weights = dict(updater.released_weights())
    algorithm.make_player(weights, "model")
    name = next(name for name, value in weights.items() if value.ndim > 1)
    weights[name] = weights[name][:-1]
    with pytest.raises(
        UserError, match=r"model was trained by another version of ddpzero.*1 param"
    ):
        algorithm.make_player(weights, "model")
