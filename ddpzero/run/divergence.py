"""Has a training diverged? Asked before weights go to actors or into a checkpoint, and when they come back from one.

Waits for a GPU once for all weights together: the callers copy the same weights to the CPU anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

# float16's scale takes about 16 steps to find its size. A training that has diverged makes no step any more.
_MAX_SKIPPED_IN_A_ROW = 25
# Batches that weights in doubt are tried on: one bad batch must not condemn them.
NUM_TRIALS = 3
# No network that learns has a weight of this size: what it computes would overflow.
_LARGEST_WEIGHT = 1e6
# Their counts and squares may be as large as they like.
_OPTIMIZERS = "optimizers"


class DivergenceError(RuntimeError):
    """The networks or their gradients are not finite any more, or absurdly large: going on is of no use."""


def skipping_problem(skipped_in_a_row: int) -> str:
    """Why a training that has skipped so many updates must end, as a clause; "" if it may go on."""
    if skipped_in_a_row < _MAX_SKIPPED_IN_A_ROW:
        return ""
    return f"the last {skipped_in_a_row} updates were skipped because their loss or gradient was not finite"


def weights_problem(weights: Mapping[str, Tensor]) -> str:
    """Why nobody can play or go on with these tensors, as a clause: "policy.bias is not finite"; "" if one can."""
    floats = {
        name: value
        for name, value in weights.items()
        if value.is_floating_point() and value.numel() > 0
    }
    if not floats:
        return ""
    # The norm for infinity is the largest absolute value; NaN stays NaN.
    norms = torch._foreach_norm([value.detach() for value in floats.values()], float("inf"))
    sizes = [norm.double().to(norms[0].device) for norm in norms]
    for name, size in zip(floats, torch.stack(sizes).tolist(), strict=True):
        if not size < float("inf"):
            return f"{name} is not finite"
        if size > _LARGEST_WEIGHT and not name.startswith(_OPTIMIZERS):
            return f"{name} has grown to {size:.0e}"
    return ""


def state_tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of an updater's nested state by their paths: "optimizers[0].state.3.exp_avg"."""
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
