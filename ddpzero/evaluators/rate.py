"""The bare forward rate: what a search over this network could reach at most on this device."""

from __future__ import annotations

import statistics
import time

import torch

from ddpzero.evaluators.network import NetworkEvaluator


def bare_forward_rate(evaluator: NetworkEvaluator, batch_size: int, seconds: float = 1.0) -> float:
    """Positions per second of the evaluator's own network, on planes that lie ready; the median over many batches.

    The module, dtype and memory layout are the evaluator's, so that a ratio to it is honest. Other processes disturb:
    for a ratio call it in turn with what it is compared with.
    """
    inference = evaluator.inference
    packed = torch.randint(
        256,
        (batch_size, inference.game.observation_size_bytes),
        dtype=torch.uint8,
        device=inference.device,
    )
    planes = inference.planes(packed)
    inference.forward(planes)
    durations: list[float] = []
    deadline = time.perf_counter() + seconds
    while not durations or time.perf_counter() < deadline:
        started = _finished_now(inference.device)
        inference.forward(planes)
        durations.append(_finished_now(inference.device) - started)
    return batch_size / statistics.median(durations)


def _finished_now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
