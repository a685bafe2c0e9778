"""The states of this process's random generators as JSON, so that a resumed rank continues their sequences."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ddpzero.system.devices import has_apple_gpu


def random_state(**generators: np.random.Generator) -> dict[str, Any]:
    """Return the states of torch's global generators (CPU, and this rank's GPU) and of the named numpy generators."""
    state: dict[str, Any] = {"torch_cpu": _to_text(torch.get_rng_state())}
    if torch.cuda.is_initialized():
        state["torch_cuda"] = _to_text(torch.cuda.get_rng_state())
    if has_apple_gpu():
        state["torch_mps"] = _to_text(torch.mps.get_rng_state())
    state["numpy"] = {name: generator.bit_generator.state for name, generator in generators.items()}
    return state


def restore_random_state(state: Mapping[str, Any], **generators: np.random.Generator) -> None:
    """Restore a state that `random_state` returned for the same generators (PCG64, numpy's default).

    Raises ValueError if it is not such a state.
    """
    try:
        torch.set_rng_state(_from_text(state["torch_cpu"]))
        if torch.cuda.is_initialized() and "torch_cuda" in state:
            torch.cuda.set_rng_state(_from_text(state["torch_cuda"]))
        if has_apple_gpu() and "torch_mps" in state:
            torch.mps.set_rng_state(_from_text(state["torch_mps"]))
        for name, generator in generators.items():
            generator.bit_generator.state = state["numpy"][name]
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the state of its random generators is invalid: {error}") from None


def _to_text(state: torch.Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode()


def _from_text(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
