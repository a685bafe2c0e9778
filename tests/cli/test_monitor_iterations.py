"""Facts about `ddpzero monitor RUN --iterations`."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from ddpzero.cli.monitor_iterations import iterations_of, iterations_table
from ddpzero.system.errors import UserError

ROW = {
    "learner/iteration_seconds": 3661.0,
    "self_play/episode_length": 123.4,
    "losses/policy": 2.345,
    "losses/value": 0.987,
    "arena/match_score": 0.55,
    "time/wait_for_episodes": 0.5,
    "time/update": 0.2,
    "time/arena": 0.25,
}


def run_with(tmp_path, schedule: str):
    (tmp_path / "config.yaml").write_text(f"learner: {{schedule: {schedule}, steps_per_round: 10}}")
    rows = [{**ROW, "learner_step": step} for step in (10, 20, 20)]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path


def test_the_table_has_a_row_for_each_iteration_and_fits_80_columns(tmp_path):
    iterations = iterations_of(run_with(tmp_path, "rounds"))
    output = StringIO()
    Console(file=output, width=80).print(iterations_table("x", iterations))
    rows = [line.split() for line in output.getvalue().splitlines() if "55.0%" in line]
    expected = ["123.4", "2.345", "0.987", "55.0%", "1:01:01", "50%", "20%", "25%"]
    assert rows == [["1", *expected], ["2", *expected]]
    assert "…" not in output.getvalue()


def test_a_concurrent_run_has_no_iterations(tmp_path):
    with pytest.raises(UserError, match=r"has no iterations.*learner\.schedule=rounds"):
        iterations_of(run_with(tmp_path, "concurrent"))


def iterations_from(tmp_path, *rows):
    (tmp_path / "config.yaml").write_text("learner: {schedule: rounds, steps_per_round: 10}")
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return iterations_of(tmp_path)


def test_an_iteration_in_which_the_run_ended_has_no_row_and_replaces_none(tmp_path):
    whole, part = {**ROW, "learner_step": 10}, {**ROW, "learner_step": 14, "losses/policy": 9.0}
    (iteration,) = iterations_from(tmp_path, whole, part)
    assert (iteration.number, iteration.policy_loss) == (1, 2.345)


def test_the_parts_of_an_iteration_in_which_the_run_continued_are_joined(tmp_path):
    first = {**ROW, "learner_step": 14, "learner/iteration_seconds": 30.0}
    rest = {
        "learner_step": 20,
        "learner/iteration_seconds": 10.0,
        "losses/policy": 1.5,
        "losses/value": 0.5,
        "time/update": 1.0,
    }
    (iteration,) = iterations_from(tmp_path, first, rest)
    assert (iteration.number, iteration.seconds) == (2, 40.0)
    assert (iteration.length, iteration.score) == (123.4, 0.55)
    assert (iteration.policy_loss, iteration.value_loss) == (1.5, 0.5)
    assert iteration.shares == pytest.approx({"self-play": 0.375, "training": 0.4, "arena": 0.1875})
