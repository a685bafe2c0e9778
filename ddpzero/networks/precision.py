"""Chooses the dtype in which a network is computed, at start, by measuring on this processor.

Called by evaluators and updaters when their setting is "auto". Parameters stay float32 wherever they are trained.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import nn

from ddpzero.games import Game
from ddpzero.networks.memory_format import fast_memory_format, on_device
from ddpzero.networks.timing import best_seconds
from ddpzero.system.devices import cpu_has_bfloat16

logger = logging.getLogger(__name__)

Precision = Literal["auto", "float32", "bfloat16", "float16"]

# A narrow dtype must be clearly faster: otherwise noise would decide, differently at each start.
_WORTHWHILE_SPEEDUP = 1.15
_BUDGET_SECONDS = 0.25
_FIRST_CAPABILITY_WITH_BFLOAT16 = (8, 0)  # Ampere
# Cells of the boards that a measurement computes: enough to show what full batches do (with 32 positions of Connect
# Four bfloat16 seemed useless, with 256 it trains 1.6 times as fast), few enough to take about a second.
_MAX_CELLS = 256 * 42
_MIN_POSITIONS = 32


def narrow_dtype(device: torch.device) -> torch.dtype | None:
    """Return the 16-bit dtype in which `device` may be fast, or None."""
    if device.type == "cuda":
        # Not is_bf16_supported(): it is also true for older GPUs, which emulate bfloat16 slowly.
        is_native = torch.cuda.get_device_capability(device) >= _FIRST_CAPABILITY_WITH_BFLOAT16
        return torch.bfloat16 if is_native else torch.float16
    if device.type == "mps":
        # bfloat16 needs macOS 14, and older GPUs emulate it.
        return torch.float16
    # It may be emulated and slow: hence the measurement.
    return torch.bfloat16 if cpu_has_bfloat16() else None


def faster_dtype(
    make_step: Callable[[torch.dtype, int], Callable[[], Any]],
    batch_size: int,
    device: torch.device,
    purpose: str,
) -> torch.dtype:
    """float32, or the device's narrow dtype if it is measured clearly faster; says so in the log.

    make_step(dtype, num_positions): a function that does the work in question once. purpose: for the log, "trains".
    """
    narrow = narrow_dtype(device)
    if narrow is None:
        return torch.float32
    steps = [make_step(dtype, batch_size) for dtype in (torch.float32, narrow)]
    wide_seconds, narrow_seconds = best_seconds(steps, device, _BUDGET_SECONDS)
    is_worthwhile = wide_seconds / narrow_seconds >= _WORTHWHILE_SPEEDUP
    chosen = narrow if is_worthwhile else torch.float32
    logger.info(
        "The network %s in %s: measured %.0f positions/s in float32, %.0f in %s (batch %d).",
        purpose,
        dtype_name(chosen),
        batch_size / wide_seconds,
        batch_size / narrow_seconds,
        dtype_name(narrow),
        batch_size,
    )
    return chosen


def positions_to_measure(game: Game, batch_size: int) -> int:
    """Return the batch size for `faster_dtype`: the real one if that is cheap."""
    num_cells = game.board_shape[0] * game.board_shape[1]
    return min(batch_size, max(_MIN_POSITIONS, _MAX_CELLS // num_cells))


def training_dtype(
    network: nn.Module, game: Game, batch_size: int, device: torch.device
) -> torch.dtype:
    """Return the dtype for torch.autocast in which a forward and a backward pass of `network` are fastest on `device`.

    With GPUs their narrow dtype, unmeasured, but float32 with Apple's; float16 needs a GradScaler, which does not work
    there. The network itself is not touched.
    """
    if device.type == "cuda":
        return narrow_dtype(device) or torch.float32
    if device.type == "mps":
        return torch.float32
    network = on_device(copy.deepcopy(network).train(), device)

    def make_step(dtype: torch.dtype, num_positions: int) -> Callable[[], None]:
        shape = (num_positions, game.num_inputs, *game.board_shape)
        planes = torch.ones(shape, device=device)
        planes = planes.contiguous(memory_format=fast_memory_format(device))

        def step() -> None:
            with autocast_to(dtype, device):
                policy_logits, value_logits = network(planes)
            (policy_logits.float().sum() + value_logits.float().sum()).backward()

        return step

    return faster_dtype(make_step, positions_to_measure(game, batch_size), device, "trains")


def autocast_to(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which networks with parameters in float32 compute in `dtype`."""
    # PyTorch before 2.5 has no autocast for Apple's GPUs, not even one that is switched off.
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def dtype_name(dtype: torch.dtype) -> str:
    """ "bfloat16" for torch.bfloat16."""
    return str(dtype).removeprefix("torch.")
