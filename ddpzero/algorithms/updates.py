"""What updaters have in common: networks in training, their moving averages, and the seeds of their updates.

Called by the updaters of plugins, those from outside the tree included; knows no loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ddpzero.algorithms.base import LOSS
from ddpzero.networks.compatibility import check_state, checked_count
from ddpzero.networks.gradient_step import GradientStep
from ddpzero.networks.optimizers import (
    BEGINS_ANEW,
    check_scaler_state,
    load_optimizer_states,
    make_optimizers,
)
from ddpzero.settings import LearnerSettings


def seed_of_update(seed: int, num_updates: int) -> int:
    """The seed of an update's random numbers, from the number of updates before it.

    So a resumed run samples what it would have sampled. seed: of the updater.
    """
    return (seed * 1_000_003 + num_updates) % 2**63


class MovingAverage:
    """An exponential moving average of a network's state: what actors and players use. values: by the state's names."""

    def __init__(self, values: Mapping[str, Tensor], decay: float) -> None:
        self.values = copied(values)
        self._decay = decay

    @torch.no_grad()
    def move(self, values: Mapping[str, Tensor], num_updates: int) -> None:
        """One step towards `values`, the state after some update; num_updates: the age of the average."""
        # The average of a young run must not be dominated by the random start.
        decay = min(self._decay, (1.0 + num_updates) / (10.0 + num_updates))
        newest = [values[name] for name in self.values]
        torch._foreach_lerp_(list(self.values.values()), newest, 1.0 - decay)

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Continue from these values, which have the same names and shapes."""
        for name, value in self.values.items():
            value.copy_(values[name])


class TrainedNetwork:
    """A network in training: its forward pass on all ranks, its optimizers, its moving average, their checkpoint.

    forward: the network under `wrap`, compiled if learner.compile; its gradients are averaged over ranks.
    average: what is released. num_updates: calls of `step`, over all resumes.
    """

    def __init__(
        self,
        network: nn.Module,
        wrap: Callable[[nn.Module], nn.Module],
        learner: LearnerSettings,
        device: torch.device,
        *,
        scales_loss: bool = False,
    ) -> None:
        """scales_loss: for training in float16."""
        self.network = network.to(device)
        wrapped = wrap(self.network)
        self.forward = torch.compile(wrapped) if learner.compile else wrapped
        self.average = MovingAverage(self.network.state_dict(), learner.ema_decay)
        self.num_updates = 0
        self._learner = learner
        self._step = GradientStep(
            make_optimizers(self.network, learner), learner.gradient_clip, device, scales_loss
        )

    def step(self, loss: Tensor, learning_rate: float) -> dict[str, Tensor]:
        """One optimizer step down from `loss`; returns metrics about it, LOSS among them, without a sync."""
        step = self._step(loss, learning_rate)
        self.num_updates += 1
        self.average.move(self.network.state_dict(), self.num_updates)
        return {
            LOSS: loss.detach(),
            "gradients/norm": step.norm,
            "gradients/skipped_share": step.is_skipped,
        }

    def skipped_in_a_row(self) -> int:
        """See CompleteUpdater."""
        return int(self._step.skipped_in_a_row)

    def has_finite_gradient(self, loss: Tensor) -> bool:
        """Whether a step from `loss` would not be skipped; changes nothing, and waits for the device."""
        return self._step.has_finite_gradient(loss)

    def released_weights(self) -> dict[str, Tensor]:
        """The moving average."""
        return dict(self.average.values)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with the released weights of another run, for the network and its average."""
        self.network.load_state_dict(weights)
        self.average.load(weights)

    def state(self) -> dict[str, Any]:
        """See Updater."""
        return {
            "network": self.network.state_dict(),
            "ema": self.average.values,
            "optimizers": [optimizer.state_dict() for optimizer in self._step.optimizers],
            "scaler": self._step.scaler.state_dict(),
            "num_updates": self.num_updates,
        }

    def load_state(self, state: Mapping[str, Any]) -> list[str]:
        """See Updater."""
        network, ema, scaler = state["network"], state["ema"], state["scaler"]
        check_state(network, self.network.state_dict(), "network")
        check_state(ema, self.average.values, "moving average")
        num_updates = checked_count(state["num_updates"], "number of updates")
        # Saved without float16 it is empty: the present one then keeps its first scale.
        has_scaler = self._step.scaler.is_enabled() and scaler != {}
        if has_scaler:
            check_scaler_state(scaler)
        self.network.load_state_dict(network)
        self.average.load(ema)
        self.num_updates = num_updates
        if has_scaler:
            self._step.scaler.load_state_dict(scaler)
        return load_optimizers([(self.network, self._step)], state["optimizers"], self._learner)


# Of the network's forward pass and a batch: the loss, and metrics.
Loss = Callable[[Callable[..., Any], dict[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]


class NetworkUpdater:
    """A CompleteUpdater but for the results of episodes: trains one network to minimize a function of batches."""

    def __init__(
        self,
        network: nn.Module,
        wrap: Callable[[nn.Module], nn.Module],
        learner: LearnerSettings,
        device: torch.device,
        loss: Loss,
    ) -> None:
        self._trained = TrainedNetwork(network, wrap, learner, device)
        self._loss = loss

    def update(self, batch: dict[str, Tensor], learning_rate: float) -> dict[str, Tensor]:
        loss, metrics = self._loss(self._trained.forward, batch)
        metrics = {name: metric.detach() for name, metric in metrics.items()}
        return metrics | self._trained.step(loss, learning_rate)

    def is_trainable(self, batch: dict[str, Tensor]) -> bool:
        loss, _ = self._loss(self._trained.forward, batch)
        return self._trained.has_finite_gradient(loss)

    def skipped_in_a_row(self) -> int:
        return self._trained.skipped_in_a_row()

    def released_weights(self) -> dict[str, Tensor]:
        return self._trained.released_weights()

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        self._trained.start_from(weights)

    def state(self) -> dict[str, Any]:
        return self._trained.state()

    def load_state(self, state: Mapping[str, Any]) -> list[str]:
        return self._trained.load_state(state)


def load_optimizers(
    parts: Sequence[tuple[nn.Module, GradientStep]], saved: Any, learner: LearnerSettings
) -> list[str]:
    """Load the states of the optimizers of all parts, in their order, from a checkpoint.

    If they are of another kind, all start over, and a sentence says so.
    """
    if load_optimizer_states([o for _, step in parts for o in step.optimizers], saved):
        return []
    for network, step in parts:
        step.optimizers = make_optimizers(network, learner)
    return [f"learner.optimizer={learner.optimizer} {BEGINS_ANEW}"]


def copied(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy in memory of its own."""
    return {name: value.detach().clone() for name, value in values.items()}
