"""The optimizers of a network, from the learner's settings, and their states from a checkpoint. Called by updaters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from ddpzero.networks.muon import Muon
from ddpzero.system.guarded_files import is_finite_number

# Muon's updates have a fixed size; with this factor one learner.learning_rate suits both kinds of parameters.
_MUON_LR_FACTOR = 10.0
# Names of learner.optimizer for people.
BEGINS_ANEW = "begins anew: the checkpoint has the state of another optimizer; all else goes on."
# What each kind keeps of a parameter.
_STATE_NAMES: dict[type[Optimizer], Set[str]] = {
    SGD: {"momentum_buffer"},
    AdamW: {"step", "exp_avg", "exp_avg_sq"},
    Muon: {"average"},
}


MadeOptimizer = TypeVar("MadeOptimizer", bound=Optimizer)


class OptimizerSettings(Protocol):
    """The learner's settings that an optimizer needs."""

    @property
    def optimizer(self) -> Literal["sgd", "adamw", "muon"]: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


def make_optimizers(network: nn.Module, settings: OptimizerSettings) -> list[Optimizer]:
    """Return one or two optimizers that together hold every parameter once.

    A group's learning rate is learner.learning_rate times its `lr_factor`. Weight decay is for matrices and kernels:
    biases and scales have no reason to shrink. "muon" trains the tower's kernels with Muon and the rest with AdamW.
    All of them can skip a step by `found_inf` (see gradient_step.py). PyTorch's do so if they are fused; on a CPU, too,
    they then take a third to a half of the time.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    kernels = [p for p in parameters if settings.optimizer == "muon" and _is_tower_kernel(p)]
    in_kernels = {id(p) for p in kernels}
    rest = [p for p in parameters if id(p) not in in_kernels]
    groups = [
        _group([p for p in rest if p.ndim > 1], settings.weight_decay),
        _group([p for p in rest if p.ndim <= 1], 0.0),
    ]
    if settings.optimizer == "sgd":
        return [_sgd(groups, settings)]
    optimizers: list[Optimizer] = [_adamw(groups, settings)]
    if kernels:
        optimizers.append(Muon([_group(kernels, settings.weight_decay, _MUON_LR_FACTOR)]))
    return optimizers


def load_optimizer_states(optimizers: Sequence[Optimizer], saved: Any) -> bool:
    """Go on from the states of `state_dict()`, which may be anything; the hyperparameters stay those of now.

    Returns False, and takes nothing, unless they are of the same kinds of optimizers over the same parameters.
    """
    if not (isinstance(saved, (list, tuple)) and len(saved) == len(optimizers)):
        return False
    pairs = list(zip(optimizers, saved, strict=True))
    if not all(_is_state_of(optimizer, state) for optimizer, state in pairs):
        return False
    for optimizer, state in pairs:
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state["state"], "param_groups": groups})
    return True


def check_scaler_state(saved: Any) -> None:
    """Raise ValueError unless a GradScaler for float16 can go on from this, which may be anything."""
    names = {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"}
    is_state = isinstance(saved, Mapping) and saved.keys() == names
    if not (is_state and all(is_finite_number(value) and value >= 0 for value in saved.values())):
        raise ValueError("its gradient scaler's state cannot be used")


def _is_state_of(optimizer: Optimizer, saved: Any) -> bool:
    if not (isinstance(saved, Mapping) and saved.keys() == {"state", "param_groups"}):
        return False
    entries, groups = saved["state"], saved["param_groups"]
    if not (isinstance(entries, Mapping) and isinstance(groups, list)):
        return False
    if not all(isinstance(g, Mapping) and isinstance(g.get("params"), list) for g in groups):
        return False
    if [len(group["params"]) for group in groups] != [
        len(group["params"]) for group in optimizer.param_groups
    ]:
        return False
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return all(
        isinstance(index, int)
        and 0 <= index < len(parameters)
        and _is_entry(_STATE_NAMES[type(optimizer)], entry, parameters[index])
        for index, entry in entries.items()
    )


def _is_entry(names: Set[str], entry: Any, parameter: Tensor) -> bool:
    """Return whether `entry` is what an optimizer keeps of a parameter."""
    if not (isinstance(entry, Mapping) and entry.keys() == names):
        return False
    return all(
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.is_floating_point()
        and value.shape == (() if name == "step" else parameter.shape)
        for name, value in entry.items()
    )


def _adamw(groups: list[dict[str, Any]], settings: OptimizerSettings) -> AdamW:
    return _fused(partial(AdamW, groups, lr=settings.learning_rate, betas=(0.9, 0.999)))


def _fused(make: Callable[..., MadeOptimizer]) -> MadeOptimizer:
    try:
        return make(fused=True)
    # PyTorch before 2.5 has no fused kernels for Apple's GPUs.
    except RuntimeError:
        return make()


def _sgd(groups: list[dict[str, Any]], settings: OptimizerSettings) -> SGD:
    sgd = _fused(partial(SGD, groups, lr=settings.learning_rate, momentum=0.9, nesterov=True))
    for group in groups:
        for parameter in group["params"]:
            # PyTorch initializes it in the first step; do so before, because that step may be skipped.
            sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return sgd


def _group(
    parameters: Sequence[Tensor], weight_decay: float, lr_factor: float = 1.0
) -> dict[str, Any]:
    return {"params": list(parameters), "weight_decay": weight_decay, "lr_factor": lr_factor}


def _is_tower_kernel(parameter: Tensor) -> bool:
    """Return whether a parameter is the kernel of a convolution inside the tower: not the stem, not the heads."""
    return (
        parameter.ndim == 4
        and parameter.shape[0] == parameter.shape[1]
        and parameter.shape[2] * parameter.shape[3] > 1
    )
