"""The bare forward rate: an upper bound on the speed of a search with this network on this device."""

from __future__ import annotations

import torch

from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.networks.timing import synchronized_now


def bare_forward_rate(evaluator: NetworkEvaluator, batch_size: int, seconds: float = 1.0) -> float:
    """Positions per second of the evaluator's own network, on prepared planes, over `seconds`.

    It has the evaluator's module, dtype and memory layout, so that a search can be compared with it. It is a mean,
    because other processes slow down both. Call it in turn with the search that it is compared with.
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
    started = now = synchronized_now(inference.device)
    num_batches = 0
    while num_batches == 0 or now < started + seconds:
        inference.forward(planes)
        num_batches += 1
        now = synchronized_now(inference.device)
    return num_batches * batch_size / (now - started)
