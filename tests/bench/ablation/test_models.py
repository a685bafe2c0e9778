"""Which model of a training is judged at a minute."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddpzero.bench.ablation.models import model_at, require_finished
from ddpzero.bench.ablation.training import CellFailed
from ddpzero.run.models import save_model


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run with models of minutes 0.98, 2.01 and 5."""
    for step, minutes in enumerate((0.98, 2.01, 5.0), start=1):
        counters = {"learner_step": step, "minutes": minutes}
        save_model(tmp_path, f"run-b1c8-s{step}-d1", b"weights", b"config", counters)
    return tmp_path


def test_it_is_the_nearest_one_even_if_nothing_was_trained_since_a_checkpoint(run_dir):
    found = [model_at(run_dir, minutes)[1].counters["minutes"] for minutes in (1, 2, 5, None)]
    assert found == [0.98, 2.01, 5.0, 5.0]


def test_a_model_of_another_minute_is_not_taken(run_dir):
    with pytest.raises(CellFailed, match=r"no model of minute 3, only of minutes 0.98, 2.01, 5.00"):
        model_at(run_dir, 3)


def test_a_run_that_somebody_stopped_is_not_judged(run_dir):
    with pytest.raises(CellFailed, match="has not reached its end"):
        require_finished(run_dir)
