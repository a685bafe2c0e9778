"""Runs that earlier versions of ddpzero saved go on, play and are shown: see old_runs.py."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from ddpzero.arena.run import run_match
from ddpzero.cli.monitor import run_monitor
from ddpzero.config.conversion import settings_from_dict, settings_to_dict, with_defaults
from ddpzero.config.hydra import compose_settings
from ddpzero.run.checkpoint_content import load_weights
from ddpzero.run.folder import check_run_config
from ddpzero.run.ranks import Ranks
from tests.run.checkpointed_runs import resume, without_actors
from tests.run.old_runs import unpack_old_run

LOSSES = {"tic_tac_toe": "losses/total", "snakes": "losses/critic"}
NUM_EPISODES = {"tic_tac_toe": 43, "snakes": 1}


@pytest.fixture(params=NUM_EPISODES)
def old_run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return unpack_old_run(request.param, tmp_path)


def test_an_old_run_goes_on_with_its_samples_and_saves(
    old_run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_actors(monkeypatch)
    settings = settings_from_dict(with_defaults(load_weights(old_run).config))
    learner = resume(old_run, settings)
    assert learner.state.counters.learner_step == 10
    assert learner.state.counters.episodes == NUM_EPISODES[old_run.name]
    assert learner.parts.buffer.num_samples == settings.replay.capacity
    losses = learner.parts.updater.update(learner.parts.feeder.take(), 1e-3)
    assert np.isfinite(float(losses[LOSSES[old_run.name]]))
    learner.state.counters.learner_step += 1
    learner.state.counters.samples_trained += 16
    learner.save()
    assert resume(old_run, settings).state.counters.learner_step == 11
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_the_command_that_began_an_old_run_is_not_another_config(
    tmp_path: Path, alone: Ranks
) -> None:
    command = (
        "game=tic_tac_toe network.blocks=1 network.channels=4 search.num_simulations=8 replay.capacity=200 "
        "replay.min_samples=100 learner.batch_size=16 learner.steps_per_epoch=10 learner.precision=float32 "
        "learner.learning_rate_schedule=constant device=cpu"
    )
    config = settings_to_dict(compose_settings(command.split()))
    check_run_config(
        unpack_old_run("tic_tac_toe", tmp_path), config, allow_change=False, ranks=alone
    )


@pytest.mark.slow
def test_an_old_run_plays(old_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opponent = "random" if old_run.name == "tic_tac_toe" else "greedy"
    result = run_match(str(old_run), opponent, num_games=2)
    assert result.num_games == 2
    assert old_run.name in capsys.readouterr().out


def test_an_old_run_is_shown(old_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_monitor(old_run, once=True)
    shown = capsys.readouterr().out
    assert "finished" in shown
    assert "learner.max_epochs=1 is reached" in shown
