"""What a rank reports between two rows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ddpzero.run.progress import Progress
from ddpzero.run.ranks import join_ranks
from ddpzero.run.record import RunRecord, read_status
from ddpzero.settings import LearnerSettings, LoggingSettings
from ddpzero.system.signals import StopSignal
from ddpzero.training import reports as reports_module
from ddpzero.training.metrics import CORE_METRICS
from ddpzero.training.reports import Outlets, Reports
from ddpzero.training.state import RunState


def test_the_monitor_hears_of_a_run_whose_rows_are_far_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports_module, "_SIGN_OF_LIFE_SECONDS", 0.0)
    parts: Any = SimpleNamespace(metrics=CORE_METRICS)
    pool: Any = SimpleNamespace(is_compiling=False)
    with join_ranks("cpu") as ranks, RunRecord(tmp_path, ranks) as record:
        state = RunState(LearnerSettings(), ranks, StopSignal())
        outlets = Outlets(tmp_path, record, Progress(enabled=False))
        reports = Reports(LoggingSettings(interval_episodes=10**6), parts, state, outlets)
        state.count_update()
        reports.show_progress(pool)
        status = read_status(tmp_path) or {}
    assert (status["state"], status["learner_step"]) == ("running", 1)
    assert status["counters"]["samples_trained"] == LearnerSettings().batch_size
