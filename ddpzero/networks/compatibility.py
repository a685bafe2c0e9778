"""Checks that weights from elsewhere fit the networks here, before torch would end with a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import is_count
from ddpzero.system.tensors import shape_mismatch


def require_size(weights: Mapping[str, torch.Tensor], min_parameters: int, model: str) -> None:
    """UserError if the weights have fewer than min_parameters numbers; called before the network takes its memory."""
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
    if problem := shape_mismatch(saved, own):
        raise ValueError(f"its {what} is another one ({problem})")


def checked_count(value: Any, what: str) -> int:
    """Return `value` if it is a whole number of 0 or more. Raises ValueError."""
    if not is_count(value):
        raise ValueError(f"its {what} is {str(value)[:80]}")
    return value


def require_fit(weights: Mapping[str, torch.Tensor], network: torch.nn.Module, model: str) -> None:
    """UserError if the released weights of `model` do not fit `network`.

    The config came with the weights, so only another version of ddpzero or of the game's file makes a difference.
    """
    if problem := shape_mismatch(weights, network.state_dict()):
        raise UserError(
            f"{model} was trained by another version of ddpzero or of its game's file: its network is not the one "
            f"that its config gives here ({problem}). Use the version that trained it, or train anew."
        )
