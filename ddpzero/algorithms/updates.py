"""Shared parts of updaters: networks in training, moving averages, and the seeds of updates.

Used by the updaters of plugins, including plugins outside this repository. Contains no loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from ddpzero.algorithms.base import HOLDOUT_GROUP, LOSS
from ddpzero.networks.compatibility import check_state, checked_count
from ddpzero.networks.gradient_step import GradientStep, Step
from ddpzero.networks.optimizers import (
    BEGINS_ANEW,
    check_scaler_state,
    load_optimizer_states,
    make_optimizers,
)
from ddpzero.settings import LearnerSettings


def seed_of_update(seed: int, num_updates: int) -> int:
    """Return the seed of an update's random numbers, given the updater's seed and the number of updates before it.

    A resumed run thus samples the same numbers as a run without a stop.
    """
    return (seed * 1_000_003 + num_updates) % 2**63


# What a loss is computed from: a batch, or a part of one.
Part = TypeVar("Part")
# Returns the loss and metrics.
LossOf = Callable[[Part], tuple[Tensor, dict[str, Tensor]]]


def parts_of(batch: Mapping[str, Tensor], num_parts: int) -> list[dict[str, Tensor]]:
    """Return equal parts of the rows of a batch, in their order, without a copy."""
    chunks = {name: column.chunk(num_parts) for name, column in batch.items()}
    return [{name: chunks[name][number] for name in chunks} for number in range(num_parts)]


def step_on_parts(
    step: GradientStep,
    wrapped: nn.Module,
    loss_of: LossOf[Part],
    parts: Sequence[Part],
    learning_rate: float,
) -> tuple[Step, dict[str, Tensor]]:
    """Make one step down from the mean of the losses of parts of a batch (learner.gradient_accumulation).

    wrapped: the network that loss_of trains, under `wrap`; its gradients are averaged over ranks once, with the last
    part. loss_of: called for a part when the graph of the one before is gone. Returns the step, and the means of the
    metrics of all parts, LOSS among them.
    """
    step.begin()
    measured: dict[str, list[Tensor]] = {}
    for number, part in enumerate(parts, 1):
        with nullcontext() if number == len(parts) else _of_this_rank_alone(wrapped):
            loss, metrics = loss_of(part)
            step.add(loss, 1.0 / len(parts))
        for name, value in {**metrics, LOSS: loss}.items():
            measured.setdefault(name, []).append(value.detach())
    means = {
        name: values[0] if len(values) == 1 else torch.stack(values).mean()
        for name, values in measured.items()
    }
    return step.finish(learning_rate), means


def _of_this_rank_alone(wrapped: nn.Module) -> AbstractContextManager[None]:
    """Leave gradients as they are inside the block, instead of averaging them over ranks."""
    if isinstance(wrapped, DistributedDataParallel):
        no_sync: AbstractContextManager[None] = wrapped.no_sync()
        return no_sync
    return nullcontext()


def has_finite_gradients(step: GradientStep, loss_of: LossOf[Part], parts: Sequence[Part]) -> bool:
    """Return whether a step on each part alone would not be skipped; see GradientStep.has_finite_gradient."""
    are_finite = [step.has_finite_gradient(loss_of(part)[0]) for part in parts]
    return all(are_finite)


class MovingAverage:
    """An exponential moving average of a network's state dict, which actors and players use.

    values: name -> tensor, in memory of the average.
    """

    def __init__(self, values: Mapping[str, Tensor], decay: float) -> None:
        self.values = copied(values)
        self._decay = decay

    @torch.no_grad()
    def move(self, values: Mapping[str, Tensor], num_updates: int) -> None:
        """Move the average toward `values`, the state after an update. num_updates: updates made, including it."""
        # Early in a run the decay is smaller, so that the initial parameters do not dominate the average.
        decay = min(self._decay, (1.0 + num_updates) / (10.0 + num_updates))
        newest = [values[name] for name in self.values]
        torch._foreach_lerp_(list(self.values.values()), newest, 1.0 - decay)

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Replace the average with `values`, which have the same names and shapes."""
        for name, value in self.values.items():
            value.copy_(values[name])


class TrainedNetwork:
    """A network in training, with its optimizers, its moving average and their state in checkpoints.

    forward: the network under `wrap`, compiled if learner.compile is set; its gradients are averaged over ranks.
    average: the moving average, which is released. num_updates: calls of `step` over all resumes.
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
        """scales_loss: scale the loss, for training in float16."""
        self.num_updates = 0
        self._wrap = wrap
        self._learner = learner
        self._set_network(network.to(device))
        self._step = GradientStep(
            make_optimizers(self.network, learner), learner.gradient_clip, device, scales_loss
        )

    def replace(
        self,
        network: nn.Module,
        average: Mapping[str, Tensor],
        copy_states: Callable[[Sequence[Optimizer], Sequence[Optimizer]], None],
    ) -> None:
        """Go on with another network, on the same device, such as this one after a growth; all ranks together.

        average: its moving average. copy_states: copies the states of the old optimizers to the new ones.
        """
        self._set_network(network)
        self.average.load(average)
        optimizers = make_optimizers(network, self._learner)
        copy_states(self._step.optimizers, optimizers)
        self._step.optimizers = optimizers

    def _set_network(self, network: nn.Module) -> None:
        self.network = network
        self._wrapped = self._wrap(network)
        compiles = self._learner.compile
        self.forward = torch.compile(self._wrapped) if compiles else self._wrapped
        self.average = MovingAverage(network.state_dict(), self._learner.ema_decay)

    def step(self, loss: Tensor, learning_rate: float) -> dict[str, Tensor]:
        """Make one optimizer step that reduces `loss`; return metrics of it, LOSS among them, without a sync.

        For losses of a whole batch: `step_on` honors learner.gradient_accumulation.
        """
        return self._counted(self._step(loss, learning_rate), {LOSS: loss.detach()})

    def step_on(
        self, loss_of: LossOf[Part], parts: Sequence[Part], learning_rate: float
    ) -> dict[str, Tensor]:
        """Make one optimizer step on parts of a batch, see step_on_parts; return metrics, without a sync."""
        return self._counted(
            *step_on_parts(self._step, self._wrapped, loss_of, parts, learning_rate)
        )

    def _counted(self, step: Step, metrics: dict[str, Tensor]) -> dict[str, Tensor]:
        self.num_updates += 1
        self.average.move(self.network.state_dict(), self.num_updates)
        of_step = {"gradients/norm": step.norm, "gradients/skipped_share": step.is_skipped}
        return metrics | of_step

    def skipped_in_a_row(self) -> int:
        """See CompleteUpdater."""
        return int(self._step.skipped_in_a_row)

    def has_finite_gradient(self, loss: Tensor) -> bool:
        """Return whether a step on `loss` would not be skipped. Changes nothing; waits for the device."""
        return self._step.has_finite_gradient(loss)

    def can_step_on(self, loss_of: LossOf[Part], parts: Sequence[Part]) -> bool:
        """Return whether a step on each part would not be skipped. Changes nothing; waits for the device."""
        return has_finite_gradients(self._step, loss_of, parts)

    def released_weights(self) -> dict[str, Tensor]:
        """Return the moving average."""
        return dict(self.average.values)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Set the network and its average to the released weights of another run."""
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
        # A run without float16 saves an empty state; the scaler then keeps its initial scale.
        has_scaler = self._step.scaler.is_enabled() and scaler != {}
        if has_scaler:
            check_scaler_state(scaler)
        self.network.load_state_dict(network)
        self.average.load(ema)
        self.num_updates = num_updates
        if has_scaler:
            self._step.scaler.load_state_dict(scaler)
        return load_optimizers([(self.network, self._step)], state["optimizers"], self._learner)


# Called with the network's forward pass and a batch; returns the loss and metrics.
Loss = Callable[[Callable[..., Any], dict[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]


class NetworkUpdater:
    """Trains one network to minimize a loss on batches. It has all methods of CompleteUpdater except actor_weights,
    set_self_play, count_results and apply_results.

    loss: a mean over the rows of a batch: with learner.gradient_accumulation it is called with equal parts of a batch,
    and the mean of these losses is minimized.
    """

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
        self._num_parts = learner.gradient_accumulation

    def update(self, batch: dict[str, Tensor], learning_rate: float) -> dict[str, Tensor]:
        loss_of = partial(self._loss, self._trained.forward)
        return self._trained.step_on(loss_of, parts_of(batch, self._num_parts), learning_rate)

    def accumulates_gradients(self) -> bool:
        return True

    def is_trainable(self, batch: dict[str, Tensor]) -> bool:
        loss_of = partial(self._loss, self._trained.forward)
        return self._trained.can_step_on(loss_of, parts_of(batch, self._num_parts))

    def evaluate(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        network = self._trained.network
        was_training = network.training
        network.eval()
        with torch.no_grad():
            loss, metrics = self._loss(network, batch)
        network.train(was_training)
        return holdout_metrics({LOSS: loss, **metrics})

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


def holdout_metrics(metrics: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the losses among the metrics of a batch under their names in CompleteUpdater.evaluate.

    "losses/policy" becomes "holdout/policy_loss".
    """
    return {
        f"{HOLDOUT_GROUP}/{tag.removeprefix('losses/')}_loss": value
        for tag, value in metrics.items()
        if tag.startswith("losses/")
    }


def load_optimizers(
    parts: Sequence[tuple[nn.Module, GradientStep]], saved: Any, learner: LearnerSettings
) -> list[str]:
    """Load the states of the optimizers of all parts from a checkpoint; saved: a list of them, in the order of parts.

    If the states are of another kind of optimizer, all optimizers start over; returns a warning about that.
    """
    if load_optimizer_states([o for _, step in parts for o in step.optimizers], saved):
        return []
    for network, step in parts:
        step.optimizers = make_optimizers(network, learner)
    return [f"learner.optimizer={learner.optimizer} {BEGINS_ANEW}"]


def copied(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return detached copies of the tensors, which share no memory with `values`."""
    return {name: value.detach().clone() for name, value in values.items()}
