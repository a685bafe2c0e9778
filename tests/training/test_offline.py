"""Training on the replay buffer of another run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from ddpzero.bench.noise import noise
from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.run.checkpoint_files import read_manifest
from ddpzero.run.models import read_models
from ddpzero.run.ranks import Ranks
from ddpzero.run.record import read_status
from ddpzero.system.errors import UserError
from ddpzero.system.signals import StopSignal
from ddpzero.training.checkpointing import Checkpointing
from ddpzero.training.offline import train_offline
from ddpzero.training.parts import build_parts, open_store
from ddpzero.training.state import RunState
from tests.training.whole_runs import latest_checkpoint

TINY = [
    *("game=tic_tac_toe", "device=cpu", "network.blocks=1", "network.channels=16"),
    *("replay.capacity=4000", "replay.min_samples=200", "learner.batch_size=32"),
    "learner.precision=float32",
]
STEPS = ["learner.steps_per_epoch=20", "learner.max_epochs=2"]


def frozen_run(runs_dir: Path, ranks: Ranks) -> Path:
    """A run whose checkpoint has 300 random samples."""
    settings = compose_settings([*TINY, f"runs_dir={runs_dir}", "run_name=source"])
    parts = build_parts(settings, ranks)
    columns = noise(parts.buffer.spec, 300, np.random.default_rng(0))
    columns["policy_target"][:] = np.eye(9, dtype=np.float16)[np.arange(300) % 9]
    parts.buffer.add({name: column[:240] for name, column in columns.items()})
    parts.buffer.add({name: column[240:] for name, column in columns.items()}, is_held_out=True)
    state = RunState(settings.learner, ranks, StopSignal())
    state.counters.samples = 300
    run_dir = runs_dir / "source"
    config = settings_to_dict(settings)
    with open_store(settings, config, ranks, run_dir) as store:
        Checkpointing(run_dir, settings, config, parts, state, store).save(lambda _: None)
    return run_dir


def train(runs_dir: Path, source: Path, *overrides: str, stop: StopSignal | None = None) -> Path:
    """Train offline, and return the newest checkpoint."""
    words = [*TINY, f"runs_dir={runs_dir}", "run_name=offline", *overrides]
    settings = compose_settings(words)
    train_offline(settings, settings_to_dict(settings), source, stop or StopSignal())
    checkpoint = latest_checkpoint(runs_dir / "offline")
    assert checkpoint is not None
    return checkpoint


def test_it_makes_the_given_number_of_updates_and_leaves_the_source_as_it_is(
    tmp_path, alone, clean_logging
):
    source = frozen_run(tmp_path, alone)
    before = sorted((path, path.stat().st_mtime_ns) for path in source.rglob("*"))
    checkpoint = train(tmp_path, source, *STEPS)
    counters = read_manifest(checkpoint).counters
    assert (counters["learner_step"], counters["samples"]) == (40, 300)
    assert sorted((path, path.stat().st_mtime_ns) for path in source.rglob("*")) == before
    status = read_status(tmp_path / "offline")
    assert status is not None and status["state"] == "finished"
    assert status["metrics"]["losses/total"] > 0
    # The samples that the source held out are held out here.
    assert status["metrics"]["holdout/total_loss"] > 0


def test_a_stopped_one_goes_on_and_ends_like_one_never_stopped(tmp_path, alone, clean_logging):
    source = frozen_run(tmp_path, alone)
    straight = train(tmp_path / "straight", source, *STEPS)
    half = train(tmp_path / "halved", source, STEPS[0], "learner.max_epochs=1")
    whole = train(tmp_path / "halved", source, *STEPS)
    assert half != whole
    expected, got = (load_file(path / "weights.safetensors") for path in (straight, whole))
    assert all(expected[name].equal(got[name]) for name in expected)


def test_models_are_kept_at_the_given_minutes(tmp_path, alone, clean_logging):
    source = frozen_run(tmp_path, alone)
    minutes = ["checkpoint.at_minutes=[0.001]", "learner.max_minutes=0.003"]
    train(tmp_path, source, *minutes)
    (model,) = read_models(tmp_path / "offline")
    assert 0.001 <= model.counters["minutes"] < 0.003


def test_a_target_that_the_samples_lack_is_refused_by_name(tmp_path, alone, clean_logging):
    source = frozen_run(tmp_path, alone)
    with pytest.raises(UserError, match="its samples have no next_policy_target, which these"):
        train(tmp_path, source, "loss.next_policy=0.5", *STEPS)


def test_a_run_without_checkpoints_is_no_source(tmp_path, clean_logging):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty has no checkpoint with a replay buffer"):
        train(tmp_path, tmp_path / "empty", *STEPS)
