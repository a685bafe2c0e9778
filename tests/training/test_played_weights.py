"""Which weights the actors play with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ddpzero.training import played_weights
from ddpzero.training.played_weights import PlayedWeights

NEWEST = {"stem": torch.ones(3), "block": torch.ones(2), "stage": torch.tensor(4)}


@pytest.fixture
def updater(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Its network has grown since the model "best"; the stage is not part of a model."""
    best = SimpleNamespace(weights={"stem": torch.zeros(1), "critic": torch.zeros(1)})
    monkeypatch.setattr(played_weights, "load_weights", lambda path: best)
    released = {"stem": NEWEST["stem"], "block": NEWEST["block"], "critic": torch.ones(1)}
    return SimpleNamespace(
        actor_weights=lambda: NEWEST,
        released_weights=lambda: released,
        set_self_play=lambda fraction_done, effort: None,
    )


def test_the_best_model_plays_with_all_of_its_own_weights_and_the_newest_stage(updater):
    played = PlayedWeights(updater, Path("run"), plays_best=True)
    assert played.weights(0.5) == NEWEST
    played.set_best("best")
    assert played.weights(0.5) == {"stem": torch.zeros(1), "stage": NEWEST["stage"]}


def test_without_self_play_of_the_best_the_newest_weights_play(updater):
    played = PlayedWeights(updater, Path("run"), plays_best=False)
    played.set_best("best")
    assert played.weights(0.5) == NEWEST
