"""Facts about the parts of a rank."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ddpzero.config.hydra import compose_settings
from ddpzero.training import parts as parts_module
from ddpzero.training.parts import arena_line, start_arena


def test_the_log_says_who_plays_and_how_much_of_the_machine_that_takes():
    settings = compose_settings(["game=tic_tac_toe", "arena.share=0.005", "release.rule=elo"])
    line = arena_line(settings, ["rollout:100"], num_cores=8)
    assert line == (
        "arena: 1 worker with at most 0.5% of the CPU time of 8 cores (arena.share); each model plays 40 games against "
        "each of: the model before it, an earlier one, rollout:100; models/ keeps 32 models; release.rule=elo decides "
        "about a model in 400 games against the best one"
    )


@pytest.mark.parametrize(("device", "used"), [("auto", "cuda:1"), ("cpu", "cpu")])
def test_the_arena_uses_the_device_of_the_actors(
    device: str, used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    class FakeWorkers(ExitStack):
        def __init__(self, num_workers: int, **arguments: Any) -> None:
            super().__init__()
            given.update(arguments)

    monkeypatch.setattr(parts_module, "Workers", FakeWorkers)
    device_of_rank = torch.device("cuda", 1)
    ranks = SimpleNamespace(
        rank=1, local_rank=1, local_world_size=2, device=device_of_rank, is_first=False
    )
    state: Any = SimpleNamespace(ranks=ranks)
    parts: Any = SimpleNamespace(algorithm=SimpleNamespace(game=SimpleNamespace(arguments={})))
    settings = compose_settings(["game=tic_tac_toe", f"actors.device={device}"])
    with ExitStack() as stack:
        start_arena(settings, parts, state, tmp_path, stack)
    assert given["device"] == used
