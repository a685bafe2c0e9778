"""Whole runs whose learning rate is absurd: they end with one sentence, and what was saved before stays usable."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ddpzero.config.hydra import compose_settings
from ddpzero.run.checkpoint_content import load_weights
from tests.run.checkpointed_runs import resume, without_actors
from tests.training.whole_runs import run, start

BOARD_GAME = [
    "game=tic_tac_toe",
    "network.blocks=1",
    "network.channels=16",
    "search.num_simulations=8",
    "replay.capacity=4000",
    "actors.precision=float32",
    "learner.precision=float32",
]
TEAM_GAME = [
    *("algorithm=ddpg", "game=snakes", "game.rows=6", "game.columns=8", "game.snakes=4"),
    *("game.steps=20", "network.width=16", "replay.capacity=5000", "learner.warmup_steps=0"),
]
COMMON = [
    "device=cpu",
    "actors.num_actors=1",
    "actors.num_games=8",
    "replay.min_samples=200",
    "learner.batch_size=32",
    "checkpoint.interval_minutes=0",
]
CONCURRENT = ["learner.schedule=concurrent", "learner.steps_per_epoch=20"]
ROUNDS = [
    "learner.schedule=rounds",
    "learner.episodes_per_round=20",
    "learner.steps_per_round=20",
]
# Both plugins, both searches, both schedules, one and two ranks, rates that give NaN soon or late.
RUNS = {
    "gumbel": ([*BOARD_GAME, "search=gumbel", *CONCURRENT], 2, "1e9"),
    "puct": ([*BOARD_GAME, "search=puct", *ROUNDS], 1, "1e3"),
    "ddpg concurrent": ([*TEAM_GAME, *CONCURRENT], 1, "1e9"),
    "ddpg rounds": ([*TEAM_GAME, *ROUNDS], 2, "1e9"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_diverges_keeps_its_good_checkpoints_and_goes_on_from_them(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, num_ranks, rate = RUNS[name]
    settings = [*settings, *COMMON]
    run(tmp_path, settings, "learner.max_epochs=2", num_ranks=num_ranks)
    good = load_weights(tmp_path / "tiny")
    changed = ["checkpoint.allow_config_change=true", "learner.max_epochs=400"]
    process = start(
        tmp_path, settings, *changed, f"learner.learning_rate={rate}", num_ranks=num_ranks
    )
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 1
    sentences = [line for line in output.splitlines() if line.startswith("ddpzero: ")]
    assert len(sentences) == 1, output
    assert "the training has diverged at learner_step=" in sentences[0]
    assert f"go on from checkpoint {good.model}, which is from before" in sentences[0]
    assert_all_finite(tmp_path / "tiny" / "checkpoints")
    assert load_weights(tmp_path / "tiny").model == good.model
    without_actors(monkeypatch)
    overrides = [*settings, changed[0], f"runs_dir={tmp_path}", "run_name=tiny"]
    learner = resume(tmp_path / "tiny", compose_settings(overrides))
    assert learner.checkpointing.newest == good.model
    assert learner.state.counters.learner_step == 40
    batch = learner.parts.feeder.take()
    assert learner.parts.updater.is_trainable(batch)


def assert_all_finite(folder: Path) -> None:
    files = list(folder.glob("*/weights.safetensors"))
    assert files
    for file in files:
        for name, value in load_file(file).items():
            assert torch.isfinite(value).all(), (file, name)
