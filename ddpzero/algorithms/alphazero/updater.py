"""The updater of AlphaZero: computes targets from a batch, runs the network and the losses, makes optimizer steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ddpzero.algorithms.alphazero.boards import Boards
from ddpzero.algorithms.alphazero.curriculum import STAGE, Curriculum
from ddpzero.algorithms.alphazero.growth import Growth
from ddpzero.algorithms.alphazero.losses import (
    Outputs,
    OwnershipTarget,
    ScoreTarget,
    Targets,
    num_known,
    rows_of,
    soft_policy_target,
    total_loss,
    value_target,
    win_draw_loss,
)
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings
from ddpzero.algorithms.alphazero.simulations import SIMULATIONS, Simulations
from ddpzero.algorithms.base import HOLDOUT_GROUP, LOSS, RunProgress
from ddpzero.algorithms.updates import TrainedNetwork, holdout_metrics, seed_of_update
from ddpzero.networks import NetworkSettings, unpack_observations
from ddpzero.networks.memory_format import fast_memory_format, on_device
from ddpzero.networks.precision import autocast_to, training_dtype
from ddpzero.settings import LearnerSettings

logger = logging.getLogger(__name__)

# Cross-entropies start below 20 and fall. A loss of 1000 means a probability of e^-1000 for what happened.
_HOPELESS_LOSS = 1e3


@dataclass(frozen=True)
class _View:
    """A batch, or a part of one, in the views that the network sees. Letter: B rows.

    planes: `[B, C, H, W]`. on_board: `[B, 1, H, W]`; None if all boards fill the frame. factors: see total_loss.
    """

    planes: Tensor
    on_board: Tensor | None
    targets: Targets
    factors: Mapping[str, Tensor]

    def parts(self, num_parts: int) -> list[_View]:
        """Return equal parts; the mean of their losses is that of the whole."""
        if num_parts == 1:
            return [self]
        size, of_batch = len(self.planes) // num_parts, num_known(self.targets)
        parts = []
        for start in range(0, len(self.planes), size):
            planes, on_board, targets = (
                rows_of(values, slice(start, start + size))
                for values in (self.planes, self.on_board, self.targets)
            )
            known = num_known(targets)
            factors = {name: num_parts * known[name] / of_batch[name] for name in known}
            parts.append(_View(planes, on_board, targets, factors))
        return parts


class AlphaZeroUpdater:
    """Trains the network of one rank. Letter: B batch.

    size: the settings of `network`, and its growth; None if it does not grow.
    """

    def __init__(
        self,
        curriculum: Curriculum,
        network: nn.Module,
        wrap: Callable[[nn.Module], nn.Module],
        settings: AlphaZeroSettings,
        loss: LossSettings,
        learner: LearnerSettings,
        device: torch.device,
        seed: int,
        augment: bool = True,
        size: NetworkSettings | None = None,
    ):
        game = curriculum.frame
        self._game = game
        self._curriculum = curriculum
        self._boards = Boards(curriculum, device)
        self._settings = settings
        self._loss = loss
        self._auxiliary = loss.auxiliary(game)
        self._device = device
        self._seed = seed
        self._augment = augment
        self._learner = learner
        self._growth = Growth(size, game, self._auxiliary) if size is not None else None
        network = on_device(network, device)
        self._dtype = self._choose_dtype(network)
        self._trained = TrainedNetwork(
            network, wrap, learner, device, scales_loss=self._dtype == torch.float16
        )
        self._stage = -1
        self._simulations = Simulations(curriculum.num_simulations, settings.final_num_simulations)
        self._fraction_done, self._effort = 0.0, 1.0
        self._symmetry_generator = torch.Generator(device)

    def update(self, batch: dict[str, Tensor], learning_rate: float) -> dict[str, Tensor]:
        """Make one step; return metrics on the device. batch: columns of the sample spec, `[B, ...]`."""
        loss_of = partial(self._loss_of, forward=self._trained.forward)
        metrics = self._trained.step_on(loss_of, self._parts_of(batch), learning_rate)
        return {**metrics, **self._stage_metrics()}

    def accumulates_gradients(self) -> bool:
        return True

    def evaluate(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.no_grad():
            loss, metrics = self._loss_of(self._view_of(batch), self._trained.network)
        return {
            **holdout_metrics({LOSS: loss, **metrics}),
            f"{HOLDOUT_GROUP}/value_accuracy": metrics["value/accuracy"],
        }

    def is_trainable(self, batch: dict[str, Tensor]) -> bool:
        losses: list[Tensor] = []

        def loss_of(part: _View) -> tuple[Tensor, dict[str, Tensor]]:
            loss, metrics = self._loss_of(part, self._trained.forward)
            losses.append(loss.detach())
            return loss, metrics

        has_gradient = self._trained.can_step_on(loss_of, self._parts_of(batch))
        planes = unpack_observations(batch["observation"], self._game)
        on_board = self._boards.on_board(self._boards.of_batch(batch))
        average = self._trained.average.values
        with torch.no_grad(), self._autocast():
            outputs = functional_call(self._trained.network, average, (planes, (), on_board))
        is_finite = all(bool(logits.isfinite().all()) for logits in outputs)
        return has_gradient and is_finite and bool(sum(losses) / len(losses) < _HOPELESS_LOSS)

    def _parts_of(self, batch: dict[str, Tensor]) -> list[_View]:
        return self._view_of(batch).parts(self._learner.gradient_accumulation)

    def _view_of(self, batch: dict[str, Tensor]) -> _View:
        """Return what a batch is for network and losses; its symmetries depend on the number of updates."""
        planes = unpack_observations(batch["observation"], self._game)
        turning, boards = self._turning_targets(batch), self._boards.of_batch(batch)
        if self._augment:
            seed = seed_of_update(self._seed, self._trained.num_updates)
            self._symmetry_generator.manual_seed(seed)
            planes, turning = self._boards.turn(planes, turning, boards, self._symmetry_generator)
        return _View(
            planes.contiguous(memory_format=fast_memory_format(self._device)),
            self._boards.on_board(boards),
            self._targets(batch, turning, boards),
            factors={},
        )

    def _loss_of(
        self, view: _View, forward: Callable[..., Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, and metrics. forward: the network, with `wrap` if there will be a gradient."""
        with self._autocast():
            policy, value, *rest = forward(view.planes, self._auxiliary, view.on_board)
        return total_loss(Outputs(policy, value, *rest), view.targets, self._loss, view.factors)

    def _choose_dtype(self, network: nn.Module) -> torch.dtype:
        precision = self._learner.precision
        batch_size = self._learner.batch_size // self._learner.gradient_accumulation
        if precision == "auto":
            return training_dtype(network, self._game, batch_size, self._device)
        dtype: torch.dtype = getattr(torch, precision)
        return dtype

    def _autocast(self) -> AbstractContextManager[Any]:
        return autocast_to(self._dtype, self._device)

    def skipped_in_a_row(self) -> int:
        return self._trained.skipped_in_a_row()

    def _stage_metrics(self) -> dict[str, Tensor]:
        """Return the curriculum stage of the last update, counted from 1; no metric if there is only one stage."""
        if len(self._curriculum.stages) == 1:
            return {}
        stage = self._curriculum.stage_at(self._trained.num_updates - 1)
        if stage != self._stage:
            self._stage = stage
            logger.info("curriculum: %s", self._curriculum.describe(stage))
        return {"curriculum/stage": torch.full((), stage + 1.0, device=self._device)}

    def _turning_targets(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the targets that a symmetry of the board transforms."""
        targets = {"policy": batch["policy_target"].float()}
        if "next_policy" in self._auxiliary:
            targets["next_policy"] = batch["next_policy_target"].float()
        if "ownership" in self._auxiliary:
            targets["ownership"] = batch["ownership"].float()
        return targets

    def _targets(
        self, batch: Mapping[str, Tensor], turned: Mapping[str, Tensor], boards: Tensor
    ) -> Targets:
        """Return all targets. turned: those that a symmetry transforms, in the view that the network sees."""
        score = ownership = None
        if "score" in self._auxiliary:
            score = self._score_target(batch, boards)
        if "ownership" in self._auxiliary:
            is_known = batch["is_played_out"].float()
            ownership = OwnershipTarget(turned["ownership"], self._boards.owned(boards), is_known)
        policy, short_value = turned["policy"], None
        if "short_value" in self._auxiliary:
            short_value = win_draw_loss(batch["short_value"], batch["short_draw"])
        has_soft_policy = "soft_policy" in self._auxiliary
        return Targets(
            policy=policy,
            value=value_target(batch, self._settings.root_value_weight),
            outcome=batch["outcome"],
            next_policy=turned.get("next_policy"),
            soft_policy=soft_policy_target(policy) if has_soft_policy else None,
            short_value=short_value,
            policy_weights=self._policy_weights(batch),
            score=score,
            ownership=ownership,
        )

    def _policy_weights(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        """Return the weights of the samples in the policy's losses, `[B]`; see algorithm.surprise_weight."""
        share = self._settings.surprise_weight
        return 1.0 - share + share * batch["surprise"] if share > 0 else None

    def _score_target(self, batch: Mapping[str, Tensor], boards: Tensor) -> ScoreTarget:
        """Return the score target: the final score, mixed with the search's estimate if samples have one.

        Without an estimate, episodes that were not played to the end have no score target.
        """
        max_score = self._game.spec.max_score
        points, is_known = batch["score"].float(), batch["is_played_out"].float()
        distribution = self._boards.score_target(points, boards, max_score)
        if "root_score" in batch:
            weight, is_known = self._settings.root_value_weight, torch.ones_like(is_known)
            searched = self._boards.score_target(batch["root_score"].float(), boards, max_score)
            distribution = (1.0 - weight) * distribution + weight * searched
        is_possible = (
            self._boards.possible_scores(boards, max_score)
            if self._boards.has_padded_boards
            else None
        )
        return ScoreTarget(points, distribution, is_known, is_possible)

    def count_results(self, infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return no counts: AlphaZero does not use the results of episodes across ranks."""
        return {}

    def apply_results(self, counts: Mapping[str, float]) -> dict[str, float]:
        return {}

    def set_self_play(self, fraction_done: float, effort: float) -> None:
        self._fraction_done, self._effort = fraction_done, effort

    def actor_weights(self) -> dict[str, Tensor]:
        """Return the moving average of the parameters, on the device, and what to play: the stage of the curriculum and
        the simulations per move of its parts.
        """
        stage = self._curriculum.stage_at(self._trained.num_updates)
        simulations = torch.zeros(self._curriculum.most_parts, dtype=torch.int32)
        for index, part in enumerate(self._curriculum.stages[stage]):
            simulations[index] = self._simulations.at(
                part.num_simulations, self._fraction_done, self._effort
            )
        stage_of_actors = {STAGE: torch.tensor(stage), SIMULATIONS: simulations}
        return {**self._trained.average.values, **stage_of_actors}

    def possible_actor_weights(self) -> list[dict[str, Tensor]]:
        if self._growth is None:
            return [self.actor_weights()]
        released, others = self._trained.average.values, self.actor_weights()
        others = {name: value for name, value in others.items() if name not in released}
        return [{**weights, **others} for weights in self._growth.possible_weights()]

    def grow(self, progress: RunProgress, seed: int) -> str:
        if self._growth is None or (size := self._growth.due_size(progress)) == self._growth.size:
            return ""
        sentence = self._growth.grow(self._trained, size, self._device, seed)
        self._dtype = self._choose_dtype(self._trained.network)
        return sentence

    def take_size_of(self, weights: dict[str, Tensor]) -> None:
        if self._growth and self._growth.take_size_of(self._trained, weights, self._device):
            self._dtype = self._choose_dtype(self._trained.network)

    def size_tag(self) -> str:
        return "" if self._growth is None else self._growth.size.size_tag

    def released_weights(self) -> dict[str, Tensor]:
        return self._trained.released_weights()

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        self._trained.start_from(weights)

    def state(self) -> dict[str, Any]:
        return self._trained.state()

    def load_state(self, state: Mapping[str, Any]) -> list[str]:
        return self._trained.load_state(state)
