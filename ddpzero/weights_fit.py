"""Do weights from elsewhere fit the networks here? Asked before torch would end with a traceback."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ddpzero.settings import UserError


def misfit(theirs: Mapping[str, torch.Tensor], ours: Mapping[str, torch.Tensor]) -> str:
    """Which parameters differ in name or shape, as the middle of a sentence; "" where none does."""
    there, here = (
        {name: list(value.shape) for name, value in weights.items()} for weights in (theirs, ours)
    )
    differing = sorted(
        name for name in there.keys() | here.keys() if there.get(name) != here.get(name)
    )
    if not differing:
        return ""
    name = differing[0]
    return (
        f"{len(differing)} parameters differ; {name} is {there.get(name, 'missing')} there and "
        f"{here.get(name, 'missing')} here"
    )


def require_fit(weights: Mapping[str, torch.Tensor], network: torch.nn.Module, model: str) -> None:
    """UserError where the released weights of `model` are not `network`'s.

    The config came with the weights: only another version of ddpzero, or of the game's own file, makes a difference.
    """
    if problem := misfit(weights, network.state_dict()):
        raise UserError(
            f"{model} was trained by another version of ddpzero or of its game's file: its network is not the one "
            f"that its config gives here ({problem}). Use the version that trained it, or train anew."
        )
