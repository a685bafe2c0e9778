"""No update of the learner waits for its device: on a GPU that would let it run empty between two updates.

On a CPU nothing runs behind the program's back. These tests forbid there the operations that would wait on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ddpzero.bench.run_loop import learner_of_noise
from ddpzero.config.hydra import compose_settings
from ddpzero.training.learner import Learner

ATEN = torch.ops.aten
# Each of them has a result on the host, or one whose shape depends on values.
WAITING = {
    *(ATEN._local_scalar_dense.default, ATEN.item.default, ATEN.is_nonzero.default),
    *(ATEN.equal.default, ATEN.nonzero.default, ATEN.nonzero_numpy.default),
    *(ATEN.masked_select.default, ATEN.unique_dim.default, ATEN._unique2.default),
    *(ATEN.bincount.default, ATEN.repeat_interleave.Tensor),
}
INDEXING = {ATEN.index.Tensor, ATEN.index_put.default, ATEN.index_put_.default}
SETTINGS = {
    "alphazero": ["+experiment=go9", "game.size=5", "network.blocks=1", "network.channels=16"],
    "curriculum": [
        *("game=dots_and_boxes", "game.rows=2", "game.columns=2", "loss=all_heads"),
        "curriculum.stages=[{boards:[{game:{rows:1}},{}]}]",
        *("network.blocks=1", "network.channels=16"),
    ],
    "ddpg": [
        *("algorithm=ddpg", "game=snakes", "game.rows=6", "game.columns=8", "game.snakes=4"),
        *("game.steps=20", "network.width=16"),
    ],
}
COMMON = ["learner.batch_size=8", "replay.capacity=400", "replay.min_samples=100"]


class Waited(AssertionError):
    """Something waited for the device."""


class NoWaiting(TorchDispatchMode):
    """Raises Waited for operations that wait."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in WAITING or (func in INDEXING and has_mask(args[1])):
            raise Waited(str(func))
        return func(*args, **(kwargs or {}))


def has_mask(indices: Sequence[torch.Tensor | None]) -> bool:
    return any(index is not None and index.dtype == torch.bool for index in indices)


@contextmanager
def no_waiting() -> Iterator[None]:
    """Forbid operations that wait, and the methods that read memory without an operation."""

    def waits(*_: object, **__: object) -> None:
        raise Waited("a method of a tensor that reads its memory")

    with pytest.MonkeyPatch.context() as patch, NoWaiting():
        for name in ("tolist", "numpy", "cpu", "__array__", "__repr__", "__format__"):
            patch.setattr(torch.Tensor, name, waits)
        yield


def settings_of(plugin: str, device: str = "cpu", *overrides: str) -> Any:
    overrides = (*SETTINGS[plugin], *COMMON, f"device={device}", *overrides)
    return compose_settings(list(overrides))


def make_updates(learner: Learner, num_updates: int) -> None:
    for _ in range(num_updates):
        learner.take_in_episodes()
        learner.update()


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
@pytest.mark.parametrize("plugin", SETTINGS)
def test_no_update_waits_for_the_device(plugin: str, optimizer: str) -> None:
    settings = settings_of(plugin, "cpu", f"learner.optimizer={optimizer}")
    with learner_of_noise(settings, seed=0) as learner:
        # The first one fills caches.
        make_updates(learner, 1)
        # Raises Waited.
        with no_waiting():
            make_updates(learner, 4)
        assert learner.state.counters.learner_step == 5


CULPRITS: dict[str, Callable[[torch.Tensor], object]] = {
    "item": lambda tensor: tensor.item(),
    "float": float,
    "int": int,
    "bool": bool,
    "tolist": lambda tensor: tensor.tolist(),
    "numpy": lambda tensor: tensor.detach().numpy(),
    "cpu": lambda tensor: tensor.cpu(),
    "asarray": np.asarray,
    "print": str,
    "text": lambda tensor: f"{tensor:.3f}",
    "if": lambda tensor: 1 if tensor > 0 else 2,
    "mask": lambda tensor: tensor.expand(3)[tensor.expand(3) > 0],
    "assignment to a mask": lambda tensor: tensor.repeat(3).__setitem__(tensor.expand(3) > 0, 1.0),
    "nonzero": lambda tensor: tensor.expand(3).nonzero(),
    "equal": lambda tensor: torch.equal(tensor, tensor + 1),
}


@pytest.mark.parametrize("culprit", CULPRITS)
def test_each_way_of_waiting_is_found(culprit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with learner_of_noise(settings_of("alphazero"), seed=0) as learner:
        make_updates(learner, 1)
        updater: Any = learner.parts.updater
        update = updater.update

        def updates_and_waits(batch: Any, rate: float) -> Any:
            metrics = update(batch, rate)
            CULPRITS[culprit](metrics["losses/total"])
            return metrics

        monkeypatch.setattr(updater, "update", updates_and_waits)
        with pytest.raises(Waited), no_waiting():
            make_updates(learner, 1)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
@pytest.mark.parametrize("plugin", SETTINGS)
def test_no_update_waits_for_a_gpu(plugin: str, optimizer: str, precision: str) -> None:
    overrides = (f"learner.optimizer={optimizer}", f"learner.precision={precision}")
    with learner_of_noise(settings_of(plugin, "cuda", *overrides), seed=0) as learner:
        make_updates(learner, 3)
        torch.cuda.synchronize()
        # Raises RuntimeError.
        torch.cuda.set_sync_debug_mode("error")
        try:
            make_updates(learner, 4)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert learner.state.counters.learner_step == 7
