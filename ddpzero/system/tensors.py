"""Compares the shapes of tensors from a file with the expected ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def shape_mismatch(theirs: Mapping[str, Any], ours: Mapping[str, torch.Tensor]) -> str:
    """Return which parameters differ in name, shape or dtype, as a clause; "" if none does."""
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


def _kind(value: Any) -> str:
    """Return "[64, 3]" for a dense float32 tensor, which all parameters are; otherwise include the type."""
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    if value.layout is not torch.strided:
        return "sparse"
    dtype = "" if value.dtype == torch.float32 else f"{value.dtype}".removeprefix("torch.")
    return f"{dtype}{list(value.shape)}"
