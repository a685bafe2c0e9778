"""One optimizer step of AlphaZero, under DistributedDataParallel or alone.

Losses: policy cross-entropy against the search's improved policy; win/draw/loss cross-entropy against a mix of the
game's outcome and the search's root value (strength.md calls the mix what helps most early).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.games import Game
from ddpzero.networks import unpack_observations
from ddpzero.networks.precision import training_dtype
from ddpzero.optimizers import make_optimizers
from ddpzero.settings import LearnerSettings


class AlphaZeroUpdater:
    """Owns the network, its moving average and the optimizer of one rank.

    Letters: B batch, A actions, C planes, HW cells, S symmetries.
    """

    def __init__(
        self,
        game: Game,
        network: nn.Module,
        wrap: Callable[[nn.Module], nn.Module],
        settings: AlphaZeroSettings,
        learner: LearnerSettings,
        device: torch.device,
        seed: int,
        augment: bool = True,
    ):
        self._game = game
        self._settings = settings
        self._learner = learner
        self._device = device
        self._seed = seed
        self._augment = augment
        self._network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        wrapped = wrap(self._network)
        self._forward = torch.compile(wrapped) if learner.compile else wrapped
        self._ema = {name: value.detach().clone() for name, value in self._parameters().items()}
        self._optimizers = make_optimizers(self._network, learner)
        self._dtype = (
            training_dtype(self._network, game, learner.batch_size, device)
            if learner.precision == "auto"
            else getattr(torch, learner.precision)
        )
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._dtype == torch.float16)
        self._num_updates = 0
        self._cell_symmetries = torch.from_numpy(game.spec.cell_symmetries).long().to(device)
        self._action_symmetries = torch.from_numpy(game.spec.action_symmetries).long().to(device)
        self._symmetry_draws = torch.Generator(device)

    def update(self, batch: dict[str, Tensor], learning_rate: float) -> dict[str, Tensor]:
        """One step; returns scalars on the device. batch: columns of the sample spec, `[B, ...]`."""
        planes = unpack_observations(batch["observation"], self._game)
        policy_target = batch["policy_target"].float()
        if self._augment:
            planes, policy_target = self._turn(planes, policy_target)
        value_target = self._value_target(batch)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * group["lr_factor"]
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32):
            policy_logits, value_logits = self._forward(
                planes.contiguous(memory_format=torch.channels_last)
            )
        log_policy = functional.log_softmax(policy_logits.float(), dim=1)
        log_value = functional.log_softmax(value_logits.float(), dim=1)
        policy_loss = -(policy_target * log_policy).sum(1).mean()
        value_loss = -(value_target * log_value).sum(1).mean()
        settings = self._settings
        loss = settings.policy_weight * policy_loss + settings.value_weight * value_loss
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        for optimizer in self._optimizers:
            self._scaler.unscale_(optimizer)
        gradient_norm = nn.utils.clip_grad_norm_(
            self._network.parameters(), self._learner.gradient_clip
        )
        for optimizer in self._optimizers:
            self._scaler.step(optimizer)
        self._scaler.update()
        self._num_updates += 1
        self._average_weights()
        with torch.no_grad():
            policy = log_policy.exp()
            target_entropy = -(policy_target * policy_target.clamp_min(1e-12).log()).sum(1).mean()
            guess = log_value.exp()
            signs_agree = (guess[:, 0] - guess[:, 2]).sign() == batch["outcome"].sign()
            decided = batch["outcome"] != 0
        return {
            "losses/total": loss.detach(),
            "losses/policy": policy_loss.detach(),
            "losses/value": value_loss.detach(),
            "policy/kl_to_search": policy_loss.detach() - target_entropy,
            "policy/entropy": -(policy * log_policy).sum(1).mean().detach(),
            "policy/target_entropy": target_entropy,
            "value/accuracy": (signs_agree & decided).sum() / decided.sum().clamp_min(1),
            "gradients/norm": gradient_norm.detach(),
        }

    def tally(self, infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Nothing: AlphaZero learns the same whatever the games' results are."""
        return {}

    def take_tally(self, counts: Mapping[str, float]) -> dict[str, float]:
        return {}

    def actor_weights(self) -> dict[str, Tensor]:
        """The moving average of the parameters, on the device."""
        return dict(self._ema)

    def released_weights(self) -> dict[str, Tensor]:
        return self.actor_weights()

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """The moving average of another run is both the network and its average here."""
        self._network.load_state_dict(weights)
        for name, value in weights.items():
            self._ema[name].copy_(value)

    def state(self) -> dict[str, Any]:
        return {
            "network": self._network.state_dict(),
            "ema": self._ema,
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "scaler": self._scaler.state_dict(),
            "num_updates": self._num_updates,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._network.load_state_dict(state["network"])
        for name, value in state["ema"].items():
            self._ema[name].copy_(value)
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self._scaler.load_state_dict(state["scaler"])
        self._num_updates = state["num_updates"]

    def _parameters(self) -> dict[str, Tensor]:
        return self._network.state_dict(keep_vars=True)

    def _turn(self, planes: Tensor, policy_target: Tensor) -> tuple[Tensor, Tensor]:
        """Turn each sample by its own random symmetry: planes [B, C, H, W] and policy_target [B, A]."""
        batch_size, num_planes, height, width = planes.shape
        # Drawn anew from the count of updates: a resumed run draws what it would have drawn.
        self._symmetry_draws.manual_seed((self._seed * 1_000_003 + self._num_updates) % 2**63)
        symmetries = torch.randint(
            len(self._cell_symmetries),
            (batch_size,),
            generator=self._symmetry_draws,
            device=self._device,
        )
        cells = self._cell_symmetries[symmetries][:, None, :].expand(-1, num_planes, -1)
        turned = planes.reshape(batch_size, num_planes, height * width).gather(2, cells)
        policy_target = policy_target.gather(1, self._action_symmetries[symmetries])
        return turned.view(batch_size, num_planes, height, width), policy_target

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
