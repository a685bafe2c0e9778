"""Runs whose actors share an evaluator: they learn, repeat in rounds, and outlive the evaluator."""

from __future__ import annotations

import pytest

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.hydra import compose_settings
from ddpzero.system.errors import UserError
from ddpzero.training.actor_devices import evaluator_of_rank
from tests.training.test_learner import ROUNDS, TINY
from tests.training.whole_runs import assert_equal, final_state, run


@pytest.mark.parametrize("evaluator", ["shared", "simulated"])
def test_a_run_with_an_evaluator_process_trains(tmp_path, evaluator):
    output = run(
        tmp_path,
        TINY,
        *(f"evaluator={evaluator}", "actors.num_actors=2", "learner.steps_per_epoch=60"),
        "learner.max_epochs=1",
    )
    assert "finished" in output
    assert ("its models are of no use" in output) == (evaluator == "simulated")
    (log,) = tmp_path.glob("*/logs/rank0.evaluator.log")
    assert "the evaluator of rank 0: pid" in log.read_text()
    assert not [path for path in log.parent.iterdir() if "Traceback" in path.read_text()]


@pytest.mark.slow
def test_rounds_repeat_bit_by_bit(tmp_path):
    found = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        run(
            folder, TINY, *ROUNDS, "evaluator=shared", "actors.num_actors=2", "learner.max_epochs=2"
        )
        found.append(final_state(folder))
    assert_equal(*found)


@pytest.mark.parametrize(
    ("evaluator", "device", "num_actors", "is_shared"),
    [
        ("local", "cuda:0", 4, False),
        ("auto", "cpu", 4, False),
        ("auto", "cuda:0", 1, False),
        ("auto", "cuda:0", 4, True),
        ("shared", "cpu", 1, True),
        ("simulated", "cpu", 1, True),
    ],
)
def test_auto_is_shared_for_several_actors_on_a_gpu(evaluator, device, num_actors, is_shared):
    settings = compose_settings([*TINY, f"evaluator={evaluator}"])
    spec = evaluator_of_rank(settings, load_algorithm(settings), device, num_actors)
    assert (spec is not None) == is_shared


def test_an_algorithm_without_one_says_so():
    settings = compose_settings(["algorithm=ddpg", "game=snakes", "evaluator=shared"])
    with pytest.raises(UserError, match="evaluator=shared: the actors of this algorithm evaluate"):
        evaluator_of_rank(settings, load_algorithm(settings), "cpu", 2)
    automatic = compose_settings(["algorithm=ddpg", "game=snakes"])
    assert evaluator_of_rank(automatic, load_algorithm(automatic), "cuda:0", 2) is None
