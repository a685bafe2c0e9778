"""One optimizer step of AlphaZero, under DistributedDataParallel or alone.

Losses: policy cross-entropy against the search's improved policy; win/draw/loss cross-entropy against a mix of the
game's outcome and the search's root value. In games that have them also the points at the end, who owns each cell then,
and the next move's policy (Wu, "Accelerating self-play learning in Go", 2019).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from ddpzero.algorithms.alphazero.boards import Boards
from ddpzero.algorithms.alphazero.curriculum import STAGE, Curriculum
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings
from ddpzero.networks import unpack_observations
from ddpzero.networks.compatibility import check_state, checked_count
from ddpzero.networks.gradient_step import GradientStep
from ddpzero.networks.layers import NEVER
from ddpzero.networks.optimizers import (
    BEGINS_ANEW,
    check_scaler_state,
    load_optimizer_states,
    make_optimizers,
)
from ddpzero.networks.precision import training_dtype
from ddpzero.settings import LearnerSettings

logger = logging.getLogger(__name__)

# Cross-entropies begin below 20 and fall: this much gives what happened a probability of e^-1000.
_HOPELESS_LOSS = 1e3


class AlphaZeroUpdater:
    """Owns the network, its moving average and the optimizer of one rank. Letters: B batch, A actions."""

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
    ):
        game = curriculum.frame
        self._game = game
        self._curriculum = curriculum
        self._boards = Boards(curriculum, device)
        self._settings = settings
        self._loss = loss
        self._auxiliary = loss.auxiliary(game)
        self._learner = learner
        self._device = device
        self._seed = seed
        self._augment = augment
        self._network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        wrapped = wrap(self._network)
        self._forward = torch.compile(wrapped) if learner.compile else wrapped
        self._ema = {name: value.detach().clone() for name, value in self._parameters().items()}
        self._dtype = (
            training_dtype(self._network, game, learner.batch_size, device)
            if learner.precision == "auto"
            else getattr(torch, learner.precision)
        )
        self._step = GradientStep(
            make_optimizers(self._network, learner),
            learner.gradient_clip,
            device,
            scales_loss=self._dtype == torch.float16,
        )
        self._num_updates = 0
        self._stage = -1
        self._symmetry_draws = torch.Generator(device)

    def update(self, batch: dict[str, Tensor], learning_rate: float) -> dict[str, Tensor]:
        """One step; returns scalars on the device. batch: columns of the sample spec, `[B, ...]`."""
        loss, scalars = self._loss_of(batch)
        step = self._step(loss, learning_rate)
        self._num_updates += 1
        self._average_weights()
        return {
            "losses/total": loss.detach(),
            "gradients/norm": step.norm,
            "gradients/skipped_share": step.is_skipped,
            **self._stage_scalars(),
            **scalars,
        }

    def is_trainable(self, batch: dict[str, Tensor]) -> bool:
        loss, _ = self._loss_of(batch)
        has_gradient = self._step.has_finite_gradient(loss)
        planes = unpack_observations(batch["observation"], self._game)
        on_board = self._boards.on_board(self._boards.of_batch(batch))
        with torch.no_grad(), self._autocast():
            outputs = functional_call(self._network, self._ema, (planes, (), on_board))
        is_finite = all(bool(logits.isfinite().all()) for logits in outputs)
        return has_gradient and is_finite and bool(loss < _HOPELESS_LOSS)

    def _loss_of(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, and scalars about it."""
        planes = unpack_observations(batch["observation"], self._game)
        targets, boards = self._targets(batch), self._boards.of_batch(batch)
        if self._augment:
            # Drawn anew from the count of updates: a resumed run draws what it would have drawn.
            self._symmetry_draws.manual_seed((self._seed * 1_000_003 + self._num_updates) % 2**63)
            planes, targets = self._boards.turn(planes, targets, boards, self._symmetry_draws)
        with self._autocast():
            policy_logits, value_logits, *rest = self._forward(
                planes.contiguous(memory_format=torch.channels_last),
                self._auxiliary,
                self._boards.on_board(boards),
            )
        policy_target, value_target = targets["policy"], self._value_target(batch)
        log_policy = functional.log_softmax(policy_logits.float(), dim=1)
        log_value = functional.log_softmax(value_logits.float(), dim=1)
        policy_loss = -(policy_target * log_policy).sum(1).mean()
        value_loss = -(value_target * log_value).sum(1).mean()
        loss = self._loss.policy * policy_loss + self._loss.value * value_loss
        auxiliary_losses, scalars = self._auxiliary_losses(rest[0] if rest else {}, targets, boards)
        for name, auxiliary_loss in auxiliary_losses.items():
            loss = loss + getattr(self._loss, name) * auxiliary_loss
            scalars[f"losses/{name}"] = auxiliary_loss.detach()
        with torch.no_grad():
            policy = log_policy.exp()
            target_entropy = -(policy_target * policy_target.clamp_min(1e-12).log()).sum(1).mean()
            guess = log_value.exp()
            signs_agree = (guess[:, 0] - guess[:, 2]).sign() == batch["outcome"].sign()
            decided = batch["outcome"] != 0
        return loss, {
            "losses/policy": policy_loss.detach(),
            "losses/value": value_loss.detach(),
            "policy/kl_to_search": policy_loss.detach() - target_entropy,
            "policy/entropy": -(policy * log_policy).sum(1).mean().detach(),
            "policy/target_entropy": target_entropy,
            "value/accuracy": (signs_agree & decided).sum() / decided.sum().clamp_min(1),
            **scalars,
        }

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32)

    def skipped_in_a_row(self) -> int:
        return int(self._step.skipped_in_a_row)

    def _stage_scalars(self) -> dict[str, Tensor]:
        """Which stage of the curriculum this update was of, from 1; nothing where there is but one."""
        if len(self._curriculum.stages) == 1:
            return {}
        stage = self._curriculum.stage_at(self._num_updates - 1)
        if stage != self._stage:
            self._stage = stage
            logger.info("curriculum: %s", self._curriculum.describe(stage))
        return {"curriculum/stage": torch.full((), stage + 1.0, device=self._device)}

    def _targets(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What turns with the board, and what else the auxiliary heads learn, by their names."""
        targets = {"policy": batch["policy_target"].float()}
        if "next_policy" in self._auxiliary:
            targets["next_policy"] = batch["next_policy_target"].float()
        if "ownership" in self._auxiliary:
            targets["ownership"] = batch["ownership"].float()
        if "score" in self._auxiliary:
            targets["score"] = batch["score"].float()
        if "root_score" in batch:
            targets["root_score"] = batch["root_score"].float()
        if "is_played_out" in batch:
            targets["is_played_out"] = batch["is_played_out"].float()
        return targets

    def _auxiliary_losses(
        self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], boards: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses by the heads' names, and scalars that tell how good the heads are. Games whose end is not known do
        not count for score and ownership."""
        losses: dict[str, Tensor] = {}
        scalars: dict[str, Tensor] = {}
        if "next_policy" in outputs:
            log_policy = functional.log_softmax(outputs["next_policy"].float(), dim=1)
            losses["next_policy"] = -(targets["next_policy"] * log_policy).sum(1).mean()
        if "score" in outputs or "ownership" in outputs:
            is_known = targets["is_played_out"]
        if "score" in outputs:
            max_score = self._game.spec.max_score
            logits, points = outputs["score"].float(), targets["score"]
            if self._boards.is_framed:
                is_possible = self._boards.possible_scores(boards, max_score)
                logits = logits.masked_fill(~is_possible, NEVER)
            target = self._boards.score_target(points, boards, max_score)
            is_told = is_known
            if "root_score" in targets:
                # What came of a position is known even where the rules did not end the game: the search says it.
                weight, is_told = self._settings.root_value_weight, torch.ones_like(is_known)
                searched = self._boards.score_target(targets["root_score"], boards, max_score)
                target = (1.0 - weight) * target + weight * searched
            errors = -(target * functional.log_softmax(logits, dim=1)).sum(1)
            num_told = is_told.sum().clamp_min(1.0)
            losses["score"] = (errors * is_told).sum() / num_told
            with torch.no_grad():
                steps = torch.arange(-max_score, max_score + 1, device=logits.device)
                mean = (logits.softmax(1) * steps).sum(1)
                off = ((mean - points).abs() * is_told).sum() / num_told
            scalars |= {"score/mean": mean.mean(), "score/mean_error": off}
        if "ownership" in outputs:
            logits = outputs["ownership"].float()
            shares = (targets["ownership"] + 1.0) / 2.0  # an owner is sure, nobody is half and half
            errors = functional.binary_cross_entropy_with_logits(logits, shares, reduction="none")
            owned = self._boards.owned(boards)
            errors = (errors * owned).sum(1) / owned.sum(1)
            losses["ownership"] = (errors * is_known).sum() / is_known.sum().clamp_min(1.0)
        return losses, scalars

    def count_results(self, infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Nothing: AlphaZero learns the same whatever the games' results are."""
        return {}

    def apply_results(self, counts: Mapping[str, float]) -> dict[str, float]:
        return {}

    def actor_weights(self) -> dict[str, Tensor]:
        """The moving average of the parameters, on the device, and the stage of the curriculum that is to be played."""
        return {**self._ema, STAGE: torch.tensor(self._curriculum.stage_at(self._num_updates))}

    def released_weights(self) -> dict[str, Tensor]:
        return dict(self._ema)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """The moving average of another run is both the network and its average here."""
        self._network.load_state_dict(weights)
        for name, value in weights.items():
            self._ema[name].copy_(value)

    def state(self) -> dict[str, Any]:
        return {
            "network": self._network.state_dict(),
            "ema": self._ema,
            "optimizers": [optimizer.state_dict() for optimizer in self._step.optimizers],
            "scaler": self._step.scaler.state_dict(),
            "num_updates": self._num_updates,
        }

    def load_state(self, state: Mapping[str, Any]) -> list[str]:
        network, ema = state["network"], state["ema"]
        check_state(network, self._network.state_dict(), "network")
        check_state(ema, self._ema, "moving average")
        num_updates = checked_count(state["num_updates"], "number of updates")
        self._network.load_state_dict(network)
        for name, value in ema.items():
            self._ema[name].copy_(value)
        self._num_updates = num_updates
        scaler = state["scaler"]
        # Saved without float16 it is empty: the present one then keeps its first scale.
        if self._step.scaler.is_enabled() and scaler != {}:
            check_scaler_state(scaler)
            self._step.scaler.load_state_dict(scaler)
        if load_optimizer_states(self._step.optimizers, state["optimizers"]):
            return []
        self._step.optimizers = make_optimizers(self._network, self._learner)
        return [f"learner.optimizer={self._learner.optimizer} {BEGINS_ANEW}"]

    def _parameters(self) -> dict[str, Tensor]:
        return self._network.state_dict(keep_vars=True)

    def _value_target(self, batch: dict[str, Tensor]) -> Tensor:
        """Win/draw/loss probabilities [B, 3] for the mover: a mix of the outcome and the search's root value."""
        weight = self._settings.root_value_weight
        played = _win_draw_loss(batch["outcome"], batch["outcome_draw"])
        searched = _win_draw_loss(batch["root_value"], batch["root_draw"])
        return (1.0 - weight) * played + weight * searched

    @torch.no_grad()
    def _average_weights(self) -> None:
        decay = self._learner.ema_decay
        # The average of a young run must not be dominated by the random start.
        decay = min(decay, (1.0 + self._num_updates) / (10.0 + self._num_updates))
        averages, values = zip(
            *((self._ema[name], value) for name, value in self._parameters().items()), strict=True
        )
        torch._foreach_lerp_(list(averages), list(values), 1.0 - decay)


def _win_draw_loss(value: Tensor, draw: Tensor) -> Tensor:
    """Probabilities [B, 3] whose win - loss is `value` [B]; the draw's share is `draw`, as far as the value allows."""
    draw = torch.minimum(draw, 1.0 - value.abs()).clamp_min(0.0)
    rest = 1.0 - draw
    return torch.stack([(rest + value) / 2, draw, (rest - value) / 2], dim=1)
