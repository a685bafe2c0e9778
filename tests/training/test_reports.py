"""What a rank reports between two rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ddpzero.replay import Episode
from ddpzero.run.iterations import SECONDS
from ddpzero.run.progress import Progress
from ddpzero.run.ranks import join_ranks
from ddpzero.run.record import METRICS_FILE, RunRecord, read_status
from ddpzero.settings import LearnerSettings, LoggingSettings
from ddpzero.system.signals import StopSignal
from ddpzero.training import reports as reports_module
from ddpzero.training.metrics import CORE_METRICS
from ddpzero.training.reports import Outlets, Reports
from ddpzero.training.state import RunState


@contextmanager
def reports_of(
    run_dir: Path,
    algorithm: Any = None,
    learner: LearnerSettings = LearnerSettings(),  # noqa: B008 (frozen)
    first_step: int = 0,
) -> Iterator[tuple[Reports, RunState]]:
    parts: Any = SimpleNamespace(metrics=CORE_METRICS, algorithm=algorithm)
    with join_ranks("cpu") as ranks, RunRecord(run_dir, ranks) as record:
        state = RunState(learner, ranks, StopSignal())
        state.counters = replace(state.counters, learner_step=first_step)
        outlets = Outlets(run_dir, record, Progress(enabled=False))
        yield Reports(LoggingSettings(interval_episodes=10**6), parts, state, outlets), state


def test_the_monitor_hears_of_a_run_whose_rows_are_far_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports_module, "_SIGN_OF_LIFE_SECONDS", 0.0)
    pool: Any = SimpleNamespace(is_compiling=False)
    with reports_of(tmp_path) as (reports, state):
        state.count_update()
        reports.show_progress(pool)
        status = read_status(tmp_path) or {}
    assert (status["state"], status["learner_step"]) == ("running", 1)
    assert status["counters"]["samples_trained"] == LearnerSettings().batch_size


PICTURE = np.zeros((4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("text", "frames", "sentence"),
    [
        ("text", [1], "film_episode failed: TypeError: it returned a frame int[]"),
        (
            "text",
            [PICTURE[..., 0]],
            "film_episode failed: TypeError: it returned a frame uint8[4, 5]",
        ),
        ("text", 7, "film_episode failed: TypeError: 'int' object is not iterable"),
        (3, [PICTURE], "describe_episode failed: TypeError: it returned int instead of str"),
    ],
)
def test_a_failure_of_the_plugin_is_not_blamed_on_tensorboard_and_is_told_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    text: Any,
    frames: Any,
    sentence: str,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(reports_module, "_FILM_INTERVAL_SECONDS", 0.0)
    algorithm = SimpleNamespace(
        can_show=lambda info: True,
        describe_episode=lambda info: text,
        film_episode=lambda info: frames,
    )
    with reports_of(tmp_path, algorithm) as (reports, _):
        reports.add_episode(Episode({"outcome": np.zeros(1, np.float32)}, {}))
        for _ in range(3):
            reports.show_sample_game()
    (message,) = caplog.messages
    assert message.startswith(f"The plugin's {sentence}")
    assert message.endswith(". Training continues without it.")


def test_the_line_of_an_iteration_in_which_the_run_continued_is_of_all_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first = {"learner_step": 3, SECONDS: 30.0, "arena/match_score": 0.75, "losses/policy": 2.0}
    rest = {SECONDS: 10.0, "losses/policy": 1.5, "arena/score": 0.25}
    learner = LearnerSettings(schedule="rounds", steps_per_round=4)

    def write_row(reports: Reports, pool: Any) -> None:
        reports._last_row = rest
        with open(tmp_path / METRICS_FILE, "a") as file:
            file.write(json.dumps({"learner_step": 4, **rest}) + "\n")

    with reports_of(tmp_path, learner=learner, first_step=3) as (reports, state):
        (tmp_path / METRICS_FILE).write_text(json.dumps(first) + "\n")
        monkeypatch.setattr(Reports, "write_row", write_row)
        state.count_update()
        pool: Any = None
        reports.write_iteration(pool)
        reports.write_iteration(pool)
    joined, alone = caplog.messages
    assert joined == "iteration 1: policy loss 1.500, arena score 75.0%, 0:40"
    assert alone.startswith("iteration 1: policy loss 1.500, arena score 25.0%, 0:10")
