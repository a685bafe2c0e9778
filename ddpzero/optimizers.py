"""The optimizers of a network, from the learner's settings. Called by updaters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from ddpzero.muon import Muon
from ddpzero.settings import LearnerSettings

# Muon's updates have a fixed size: with this factor both kinds of parameters like the same learner.learning_rate.
_MUON_LR_FACTOR = 10.0


def make_optimizers(network: nn.Module, learner: LearnerSettings) -> list[Optimizer]:
    """One or two optimizers that together hold every parameter once.

    A group's learning rate is learner.learning_rate times its `lr_factor`. Weight decay is for matrices and kernels:
    biases and scales have no reason to shrink. "muon" trains the tower's kernels with Muon and the rest with AdamW.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    kernels = [p for p in parameters if learner.optimizer == "muon" and _is_tower_kernel(p)]
    in_kernels = {id(p) for p in kernels}
    rest = [p for p in parameters if id(p) not in in_kernels]
    groups = [
        _group([p for p in rest if p.ndim > 1], learner.weight_decay),
        _group([p for p in rest if p.ndim <= 1], 0.0),
    ]
    if learner.optimizer == "sgd":
        return [SGD(groups, lr=learner.learning_rate, momentum=0.9, nesterov=True)]
    optimizers: list[Optimizer] = [
        AdamW(groups, lr=learner.learning_rate, betas=(0.9, 0.999), fused=True)
    ]
    if kernels:
        optimizers.append(Muon([_group(kernels, learner.weight_decay, _MUON_LR_FACTOR)]))
    return optimizers


def _group(
    parameters: Sequence[Tensor], weight_decay: float, lr_factor: float = 1.0
) -> dict[str, Any]:
    return {"params": list(parameters), "weight_decay": weight_decay, "lr_factor": lr_factor}


def _is_tower_kernel(parameter: Tensor) -> bool:
    """A convolution that looks around and keeps the number of channels: not the stem, not the heads."""
    return (
        parameter.ndim == 4
        and parameter.shape[0] == parameter.shape[1]
        and parameter.shape[2] * parameter.shape[3] > 1
    )
