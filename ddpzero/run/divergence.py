"""Detects a training that has diverged: before a publish, before a checkpoint, and when a checkpoint is restored.

Synchronizes with the GPU once for all weights together: the callers copy the same weights to the CPU anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

# The loss scale of float16 takes about 16 steps to settle. A training that has diverged skips every step.
_MAX_SKIPPED_IN_A_ROW = 25
# Suspect weights are tried on this many batches: a single bad batch proves nothing.
NUM_TRIALS = 3
# A network that learns never has a weight of this size: its activations would overflow.
_LARGEST_WEIGHT = 1e6
# The state of optimizers may have values of any finite size (step counts, squared gradients).
_OPTIMIZERS = "optimizers"


class DivergenceError(RuntimeError):
    """The networks or their gradients are no longer finite, or far too large: further training is useless."""


def skipping_problem(skipped_in_a_row: int) -> str:
    """Return why a training that skipped skipped_in_a_row updates must end, as a clause; "" if it may continue."""
    if skipped_in_a_row < _MAX_SKIPPED_IN_A_ROW:
        return ""
    return f"the last {skipped_in_a_row} updates were skipped because their loss or gradient was not finite"


def weights_problem(weights: Mapping[str, Tensor]) -> str:
    """Return why these tensors are unusable, as a clause: "policy.bias is not finite"; "" if they are usable."""
    floats = {
        name: value
        for name, value in weights.items()
        if value.is_floating_point() and value.numel() > 0
    }
    if not floats:
        return ""
    # The infinity norm is the largest absolute value; NaN stays NaN.
    norms = torch._foreach_norm([value.detach() for value in floats.values()], float("inf"))
    # Apple's GPUs have no float64.
    sizes = [norm.float().to(norms[0].device) for norm in norms]
    for name, size in zip(floats, torch.stack(sizes).tolist(), strict=True):
        if not size < float("inf"):
            return f"{name} is not finite"
        if size > _LARGEST_WEIGHT and not name.startswith(_OPTIMIZERS):
            return f"{name} has grown to {size:.0e}"
    return ""


def state_tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors in an updater's nested state by path: "optimizers[0].state.3.exp_avg"."""
    return dict(_tensors(state, ""))


def _tensors(state: Any, path: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(state, Tensor):
        yield path, state
    elif isinstance(state, Mapping):
        for key, value in state.items():
            yield from _tensors(value, f"{path}.{key}".lstrip("."))
    elif isinstance(state, (list, tuple)):
        for index, value in enumerate(state):
            yield from _tensors(value, f"{path}[{index}]")
