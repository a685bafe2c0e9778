"""A rank's evaluator answers its actors, with the weights that they want; dead and hanging ones are replaced."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
import toy_evaluator
from helpers import ToyPool, is_running, wait_until

from ddpzero.actors import ActorError, EvaluatorSpec
from ddpzero.actors import supervised as supervised_module


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch):
    monkeypatch.setattr(supervised_module, "_BACKOFF_SECONDS", 0.05)


def asking(
    num_actors: int, evaluator: EvaluatorSpec, num_lanes: int = 2, **options: Any
) -> ToyPool:
    """A pool whose actors check every answer; their slices are short."""
    return ToyPool(
        num_actors,
        "toy_evaluator:make_actor",
        {"evaluator": evaluator, **options},
        slice_seconds=0.001,
        num_lanes=num_lanes,
    )


def asked_by(episodes, actor_index: int) -> int:
    return sum(episode.info["actor_index"] == actor_index for episode in episodes)


@pytest.fixture(params=[1, 2], ids=lambda number: f"{number} under way")
def under_way(request) -> dict[str, Any]:
    """How many batches the toy evaluator has under way, and how long each takes."""
    return {"max_under_way": request.param, "batch_seconds": 0.001 * (request.param - 1)}


def test_all_actors_get_right_answers(under_way):
    with asking(3, toy_evaluator.spec(**under_way)) as toys:
        toys.poll_until(lambda found: all(asked_by(found, index) > 200 for index in range(3)))
        assert toys.pool.num_restarts == 0
        metrics: dict[str, float] = {}
        while metrics.get("evaluator_positions", 0) < 100:
            toys.pool.poll(0.1)
            for name, value in toys.pool.take_metrics().items():
                metrics[name] = metrics.get(name, 0.0) + value
        assert 0 < metrics["evaluator_batches"] <= metrics["evaluator_positions"]
        assert metrics["evaluator_seconds"] > 0


def test_answers_are_of_the_weights_that_the_actor_has_or_of_newer_ones(under_way):
    with asking(2, toy_evaluator.spec(**under_way)) as toys:
        toys.poll_until(len)
        for version in range(2, 30):
            toys.publish(version)
            toys.poll_until(lambda found: len(found) > 3)
        found = toys.poll_until(lambda found: found and found[-1].info["used_version"] == 29)
        assert toys.pool.num_restarts == 0
    assert [episode.info["used_version"] for episode in found][-1] == 29


def test_an_evaluator_that_dies_amid_an_answer_loses_no_request(tmp_path, caplog, under_way):
    evaluator = toy_evaluator.spec(trouble="kill", trouble_file=str(tmp_path / "once"), **under_way)
    with asking(2, evaluator) as toys:
        toys.poll_until(lambda found: all(asked_by(found, index) > 500 for index in range(2)))
        assert toys.pool.num_restarts == 1 and (tmp_path / "once").exists()
    assert "the evaluator of rank 3 failed (1 of 5 restarts)" in caplog.text
    assert "killed by SIGKILL" in caplog.text
    assert "actor 0" not in caplog.text and "actor 1" not in caplog.text


def test_an_actor_finds_an_answer_whose_evaluator_died_before_it_woke_the_actor(tmp_path, caplog):
    trouble = {"trouble": "kill at waking", "trouble_file": str(tmp_path / "once")}
    # So long that actors sleep when the answer comes, with no other question to wake them.
    evaluator = toy_evaluator.spec(**trouble, batch_seconds=0.01)
    with asking(1, evaluator, num_lanes=1) as toys:
        toys.poll_until(lambda found: asked_by(found, 0) > 100)
        assert toys.pool.num_restarts == 1 and (tmp_path / "once").exists()
    assert "the evaluator of rank 3 failed (1 of 5 restarts)" in caplog.text


def test_a_hanging_evaluator_is_replaced_before_its_actors_are(tmp_path, caplog):
    evaluator = toy_evaluator.spec(trouble="hang", trouble_file=str(tmp_path / "once"))
    with asking(2, evaluator, hang_seconds=6.0) as toys:
        toys.poll_until(lambda found: all(asked_by(found, index) > 500 for index in range(2)))
        assert toys.pool.num_restarts == 1
    assert "it sent nothing for half of actors.hang_seconds=6" in caplog.text
    assert "time.sleep" in caplog.text or "_maybe_make_trouble" in caplog.text


def test_an_evaluator_that_starts_has_as_much_time_as_an_actor():
    with asking(1, toy_evaluator.spec(start_seconds=7.0), hang_seconds=12.0) as toys:
        toys.poll_until(lambda found: asked_by(found, 0) > 50)
        assert toys.pool.num_restarts == 0


def test_actors_do_not_count_as_hanging_while_a_dead_evaluator_is_replaced(monkeypatch):
    monkeypatch.setattr(supervised_module, "_BACKOFF_SECONDS", 9.0)
    with asking(2, toy_evaluator.spec(), hang_seconds=6.0) as toys:
        toys.poll_until(lambda found: all(asked_by(found, index) > 50 for index in range(2)))
        pids = toys.pool.pids
        os.kill(toys.pool.evaluator_pid, signal.SIGKILL)
        wait_until(lambda: toys.pool.poll(0.05) is not None and _restarts(toys) > 0)
        toys.poll_until(lambda found: all(asked_by(found, index) > 50 for index in range(2)))
        assert toys.pool.pids == pids and toys.pool.num_restarts == 1


def test_killed_again_and_again_it_loses_nothing(under_way):
    with asking(2, toy_evaluator.spec(**under_way), max_restarts=20) as toys:
        for number in range(4):
            toys.poll_until(lambda found: all(asked_by(found, index) > 50 for index in range(2)))
            pid = toys.pool.evaluator_pid
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda n=number: toys.pool.poll(0.05) is not None and _restarts(toys) > n)
        toys.poll_until(lambda found: all(asked_by(found, index) > 50 for index in range(2)))
        assert toys.pool.num_restarts == 4


def _restarts(toys: ToyPool) -> int:
    return toys.pool.num_restarts


def test_an_actor_that_replaces_a_dead_one_gets_answers_of_its_own():
    with asking(2, toy_evaluator.spec(), max_restarts=20) as toys:
        for number in range(3):
            toys.poll_until(lambda found: asked_by(found, 0) > 20)
            os.kill(toys.pool.pids[0], signal.SIGKILL)
            wait_until(lambda n=number: toys.pool.poll(0.05) is not None and _restarts(toys) > n)
        toys.poll_until(lambda found: asked_by(found, 0) > 200)
        assert toys.pool.num_restarts == 3


def test_an_evaluator_that_cannot_be_made_ends_the_run_with_its_own_traceback():
    evaluator = toy_evaluator.spec("toy_evaluator:make_no_evaluator")
    with (
        asking(1, evaluator, max_restarts=1) as toys,
        pytest.raises(ActorError, match="the evaluator of rank 3 failed 2 times") as error,
    ):
        toys.poll_until(lambda _: False)
    assert "no evaluator to be had" in str(error.value)


def test_it_ends_with_the_pool_and_leaves_no_descriptors_behind():
    with asking(1, toy_evaluator.spec()) as toys:
        toys.poll_until(len)
    before = len(os.listdir("/proc/self/fd"))
    with asking(2, toy_evaluator.spec()) as toys:
        toys.poll_until(len)
        pid = toys.pool.evaluator_pid
    assert not is_running(pid)
    assert len(os.listdir("/proc/self/fd")) == before


def test_rounds_go_on_although_the_evaluator_dies(tmp_path, under_way):
    evaluator = toy_evaluator.spec(
        trouble="kill", trouble_file=str(tmp_path / "once"), max_requests=1, **under_way
    )
    with asking(2, evaluator, schedule="rounds") as toys:
        toys.pool.start_round(episodes_per_actor=[40, 40], round_seed=1, weights_version=1)
        assert toys.pool.wait_for_round(30)
        assert len(toys.pool.collect_round()) == 80
        assert toys.pool.num_restarts == 1
