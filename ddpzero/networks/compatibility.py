"""Do weights from elsewhere fit the networks here? Asked before torch would end with a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import is_count


def misfit(theirs: Mapping[str, Any], ours: Mapping[str, torch.Tensor]) -> str:
    """Which parameters differ in name, shape or dtype, as the middle of a sentence; "" where none does."""
    there, here = (
        {name: _kind(value) for name, value in weights.items()} for weights in (theirs, ours)
    )
    differing = sorted(
        str(name) for name in there.keys() | here.keys() if there.get(name) != here.get(name)
    )
    if not differing:
        return ""
    name = differing[0]
    return (
        f"{len(differing)} parameters differ; {name} is {there.get(name, 'missing')} there and "
        f"{here.get(name, 'missing')} here"
    )


def require_size(weights: Mapping[str, torch.Tensor], min_parameters: int, model: str) -> None:
    """UserError where a network of at least so many numbers cannot have these weights; before it takes its memory."""
    num_parameters = sum(value.numel() for value in weights.values())
    require(
        num_parameters >= min_parameters,
        f"{model} has {num_parameters} parameters, but the network of its config at least {min_parameters}: they do "
        "not belong together. Use another checkpoint.",
    )


def check_state(saved: Any, own: Mapping[str, torch.Tensor], what: str) -> None:
    """Raise ValueError unless `saved`, which may be anything, can be loaded in place of `own`."""
    if not isinstance(saved, Mapping):
        raise ValueError(f"its {what} is no mapping of names to tensors")
    if problem := misfit(saved, own):
        raise ValueError(f"its {what} is another one ({problem})")


def checked_count(value: Any, what: str) -> int:
    """Return `value` if it is a whole number of 0 or more. Raises ValueError."""
    if not is_count(value):
        raise ValueError(f"its {what} is {str(value)[:80]}")
    return value


def _kind(value: Any) -> str:
    """ "[64, 3]" of float32, which all parameters are; else with its type."""
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    if value.layout is not torch.strided:
        return "sparse"
    dtype = "" if value.dtype == torch.float32 else f"{value.dtype}".removeprefix("torch.")
    return f"{dtype}{list(value.shape)}"


def require_fit(weights: Mapping[str, torch.Tensor], network: torch.nn.Module, model: str) -> None:
    """UserError where the released weights of `model` are not `network`'s.

    The config came with the weights: only another version of ddpzero, or of the game's own file, makes a difference.
    """
    if problem := misfit(weights, network.state_dict()):
        raise UserError(
            f"{model} was trained by another version of ddpzero or of its game's file: its network is not the one "
            f"that its config gives here ({problem}). Use the version that trained it, or train anew."
        )
