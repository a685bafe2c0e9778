"""The updater of DDPG: trains actor and critic, each under its own DistributedDataParallel with several ranks.

Critic: fits Q(s, a) of the action that was made to the rewards of the next steps plus the discounted value of the
target actor's action after them, the smaller one of the target critics (Fujimoto et al., 2018).
Actor: maximizes the first critic's estimate; `algorithm.estimator` selects the gradient estimator.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.optim import Optimizer

from ddpzero.algorithms.base import LOSS, RunProgress
from ddpzero.algorithms.ddpg.guidance import Guidance
from ddpzero.algorithms.ddpg.networks import as_input, masked
from ddpzero.algorithms.ddpg.settings import DDPGSettings, OpponentSettings
from ddpzero.algorithms.updates import (
    MovingAverage,
    copied,
    has_finite_gradients,
    holdout_metrics,
    load_optimizers,
    parts_of,
    seed_of_update,
    step_on_parts,
)
from ddpzero.games import TeamGame
from ddpzero.networks.compatibility import check_state, checked_count
from ddpzero.networks.gradient_step import GradientStep
from ddpzero.networks.optimizers import make_optimizers
from ddpzero.settings import LearnerSettings

Tensors = dict[str, Tensor]

# The column of a batch with the random numbers of the estimator "gumbel".
_UNIFORM = "uniform"
# Q values are sums of discounted rewards: this many times the largest reward, or logits of this size, mean divergence.
_HOPELESS_SIZE = 1e6


class DDPGUpdater:
    """Owns a rank's networks, target networks, moving average of the actor, optimizers, past selves and guidance.

    Letters: B batch, A choices, M mates of an agent, X evaluated actions, O the shape of an observation.
    """

    def __init__(
        self,
        game: TeamGame,
        networks: dict[str, nn.Module],
        wrap: Callable[[nn.Module], nn.Module],
        settings: DDPGSettings,
        opponent: OpponentSettings,
        learner: LearnerSettings,
        device: torch.device,
        seed: int,
    ):
        self._settings = settings
        self._opponent = opponent
        self._learner = learner
        self._device = device
        self._seed = seed
        self._actor = networks["actor"].to(device)
        self._critic = networks["critic"].to(device)
        self._target_actor = copy.deepcopy(self._actor).requires_grad_(False)
        self._target_critic = copy.deepcopy(self._critic).requires_grad_(False)
        self._wrapped_actor, self._wrapped_critic = wrap(self._actor), wrap(self._critic)
        self._forward_actor, self._forward_critic = (
            torch.compile(wrapped) if learner.compile else wrapped
            for wrapped in (self._wrapped_actor, self._wrapped_critic)
        )
        # The critic's parameters as constants: they share its memory, but the actor's loss leaves no gradient in them.
        self._critic_constants = {
            name: value.detach() for name, value in self._critic.named_parameters()
        }
        self._step_actor, self._step_critic = (
            GradientStep(make_optimizers(network, learner), learner.gradient_clip, device)
            for network in (self._actor, self._critic)
        )
        self._average = MovingAverage(self._actor.state_dict(), learner.ema_decay)
        self._past_selves = [copied(self._average.values) for _ in range(opponent.num_past_selves)]
        self._guidance = Guidance(settings, opponent, game.spec.rule_agents)
        self._one_hots = torch.eye(game.spec.num_actions, device=device)
        self._generator = torch.Generator(device)
        self._num_updates = 0

    # ------------------------------------------------------------------------- learning

    def update(self, batch: Tensors, learning_rate: float) -> Tensors:
        """Update the critic, and every policy_delay-th time actor and targets; return metrics, without a sync."""
        parts = self._parts_of(batch)
        critic_loss = partial(self._critic_loss, forward=self._forward_critic)
        step, metrics = step_on_parts(
            self._step_critic, self._wrapped_critic, critic_loss, parts, learning_rate
        )
        metrics |= {
            "gradients/critic_norm": step.norm,
            "gradients/critic_skipped_share": step.is_skipped,
        }
        if self._num_updates % self._settings.policy_delay == 0:
            rate = self._actor_rate(learning_rate)
            step, of_actor = step_on_parts(
                self._step_actor, self._wrapped_actor, self._actor_loss, parts, rate
            )
            metrics |= {
                **of_actor,
                "gradients/actor_norm": step.norm,
                "gradients/actor_skipped_share": step.is_skipped,
            }
            self._move_targets()
        self._num_updates += 1
        if self._num_updates % self._opponent.past_self_interval_steps == 0:
            self._keep_self()
        metrics[LOSS] = metrics["losses/critic"]
        return metrics

    def accumulates_gradients(self) -> bool:
        return True

    def evaluate(self, batch: Tensors) -> Tensors:
        """Return the critic's loss. The actor's has no targets that it could learn by heart."""
        with torch.no_grad():
            _, metrics = self._critic_loss(batch, self._critic)
        return holdout_metrics(metrics)

    def is_trainable(self, batch: Tensors) -> bool:
        parts, sizes = self._parts_of(batch), list[Tensor]()

        def critic_loss(part: Tensors) -> tuple[Tensor, Tensors]:
            loss, metrics = self._critic_loss(part, self._forward_critic)
            sizes.append(metrics["q_values/mean_size"])
            return loss, metrics

        has_gradients = has_finite_gradients(self._step_critic, critic_loss, parts)
        has_gradients &= has_finite_gradients(self._step_actor, self._actor_loss, parts)
        with torch.no_grad():
            observation = as_input(batch["observation"])
            logits = functional_call(self._actor, self._average.values, (observation,))
        rewards = batch["reward"].abs().amax().clamp_min(1.0)
        # Compared with `<`, since comparisons with NaN are False.
        has_sizes = (logits.abs().amax() < _HOPELESS_SIZE) & (
            torch.stack(sizes).mean() < _HOPELESS_SIZE * rewards
        )
        return has_gradients and bool(has_sizes)

    def _parts_of(self, batch: Tensors) -> list[Tensors]:
        """Return the parts of a batch (learner.gradient_accumulation), with the random numbers of their losses."""
        if self._settings.estimator == "gumbel":
            self._generator.manual_seed(seed_of_update(self._seed, self._num_updates))
            shape = (len(batch["choice"]), len(self._one_hots))
            uniform = torch.rand(shape, generator=self._generator, device=self._device)
            batch = {**batch, _UNIFORM: uniform}
        return parts_of(batch, self._learner.gradient_accumulation)

    def _critic_loss(self, batch: Tensors, forward: Callable[..., Any]) -> tuple[Tensor, Tensors]:
        """Return the critic's loss, and metrics. forward: the critic, with `wrap` if there will be a gradient."""
        observation, context = as_input(batch["observation"]), self._context(batch, "")
        target = batch["reward"] + batch["discount"] * self._next_value(batch)
        action = self._one_hots[batch["choice"].long()].unsqueeze(1)
        estimates = forward(observation, context, action).squeeze(-1)  # [critics, B]
        loss = functional.smooth_l1_loss(estimates, target.expand_as(estimates), reduction="none")
        loss = loss.mean(dim=1).sum()
        return loss, {
            "losses/critic": loss.detach(),
            "q_values/mean": estimates.detach().mean(),
            "q_values/mean_size": estimates.detach().abs().mean(),
            "q_values/target": target.mean(),
            "q_values/twins_differ": (estimates[0] - estimates[-1]).detach().abs().mean(),
        }

    @torch.no_grad()
    def _next_value(self, batch: Tensors) -> Tensor:
        """Return the value `[B]` of the target actor's action after the steps: the minimum of the target critics."""
        observation = as_input(batch["next_observation"])
        logits = masked(self._target_actor(observation), batch["next_legal"])
        if self._settings.estimator == "softmax":
            action = functional.softmax(logits, dim=1)
        else:
            action = self._one_hots[logits.argmax(dim=1)]
        context = self._context(batch, "next_")
        values: Tensor = self._target_critic(observation, context, action.unsqueeze(1))
        return values.amin(dim=0).squeeze(1)

    def _actor_loss(self, batch: Tensors) -> tuple[Tensor, Tensors]:
        observation, context = as_input(batch["observation"]), self._context(batch, "")
        logits = self._forward_actor(observation)
        legal_logits = masked(logits, batch["legal"])
        log_policy = functional.log_softmax(legal_logits, dim=1)
        policy = log_policy.exp()
        entropy = -(policy * log_policy.clamp_min(-20.0)).sum(dim=1).mean()
        actions, weights = self._actions(legal_logits, batch.get(_UNIFORM))
        # With constant parameters: the actor's loss leaves no gradient in the critic, so that none is all-reduced.
        judged = (observation, context, actions, True)
        values = functional_call(self._critic, self._critic_constants, judged)[0]  # [B, X]
        value = (weights * values).sum(dim=1).mean()
        squares = (logits.square() * batch["legal"]).sum(1) / batch["legal"].sum(1)
        settings = self._settings
        loss = settings.logit_l2 * squares.mean() - value - settings.entropy_weight * entropy
        return loss, {"losses/actor": loss.detach(), "policy/entropy": entropy.detach()}

    def _actor_rate(self, learning_rate: float) -> float:
        if self._settings.actor_learning_rate is None:
            return learning_rate
        return learning_rate * self._settings.actor_learning_rate / self._learner.learning_rate

    def _actions(self, logits: Tensor, uniform: Tensor | None) -> tuple[Tensor | None, Tensor]:
        """Return the actions to evaluate, `[B, X, A]`, and their weights, `[B, X]`; see algorithm.estimator.

        actions None: every action, X = A. uniform: random numbers in 0..1, `[B, A]`, that "gumbel" needs.
        """
        settings = self._settings
        policy = functional.softmax(logits, dim=1)
        one = torch.ones_like(policy[:, :1])
        if settings.estimator == "softmax":
            return policy.unsqueeze(1), one
        if settings.estimator == "gumbel":
            assert uniform is not None
            noise = -torch.log(-torch.log(uniform.clamp(1e-10, 1.0 - 1e-7)))
            soft = functional.softmax((logits + noise) / settings.gumbel_temperature, dim=1)
            hard = self._one_hots[soft.argmax(dim=1)]
            return (hard + soft - soft.detach()).unsqueeze(1), one
        return None, policy

    @torch.no_grad()
    def _context(self, batch: Tensors, moment: str) -> Tensor | None:
        """Return the critic's inputs about the mates, `[B, num_context]`; None unless samples have them.

        moment: "" for what the mates saw and chose, "next_" for what they see after the steps and the choices of the
        target actor there.
        """
        if f"mates_{moment}observation" not in batch:
            return None
        seen = as_input(batch[f"mates_{moment}observation"])  # [B, M, *O]
        if moment:
            logits = self._target_actor(seen.flatten(0, 1)).view(*seen.shape[:2], -1)
            choice = masked(logits, batch["mates_next_legal"]).argmax(dim=2)
        else:
            choice = batch["mates_choice"].long()
        return torch.cat([seen.flatten(1), self._one_hots[choice].flatten(1)], dim=1)

    def skipped_in_a_row(self) -> int:
        steps = (self._step_actor, self._step_critic)
        return int(torch.stack([step.skipped_in_a_row for step in steps]).max())

    @torch.no_grad()
    def _move_targets(self) -> None:
        for target, network in (
            (self._target_actor, self._actor),
            (self._target_critic, self._critic),
        ):
            torch._foreach_lerp_(
                list(target.parameters()), list(network.parameters()), self._settings.tau
            )
        self._average.move(self._actor.state_dict(), self._num_updates)

    def _keep_self(self) -> None:
        """Replace the oldest past self with the current moving average of the actor."""
        if self._past_selves:
            self._past_selves.pop(0)
            self._past_selves.append(copied(self._average.values))

    # ----------------------------------------------------------- actors, release, checkpoint

    def count_results(self, infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        return self._guidance.count_results(infos)

    def apply_results(self, counts: Mapping[str, float]) -> dict[str, float]:
        self._guidance.apply_results(counts)
        progress = self._guidance.progress
        wins = {
            f"evaluation/wins_against_{name}": share
            for name, share in self._guidance.evaluation_win_shares().items()
        }
        games = {
            f"evaluation/games_against_{name}": progress.evaluation_games[level]
            for level, name in enumerate(self._guidance.rule_agents)
            if progress.evaluation_games[level] > 0
        }
        return {
            "exploration/epsilon": self._guidance.epsilon,
            "opponent/level": progress.level,
            **wins,
            **games,
        }

    def set_self_play(self, fraction_done: float, effort: float) -> None:
        """Ignore both: actors of DDPG have no search, and their work per sample is constant."""

    def actor_weights(self) -> Tensors:
        """Return the policy (`actor.`), the past selves (`past<i>.`) and the guidance."""
        past = {
            f"past{index}.{name}": value
            for index, weights in enumerate(self._past_selves)
            for name, value in weights.items()
        }
        policy = {f"actor.{name}": value for name, value in self._average.values.items()}
        return {**policy, **past, "guidance": torch.from_numpy(self._guidance.vector)}

    def possible_actor_weights(self) -> list[Tensors]:
        return [self.actor_weights()]

    def grow(self, progress: RunProgress, seed: int) -> str:
        """Return "": these networks keep their size."""
        return ""

    def take_size_of(self, weights: Tensors) -> None:
        """Do nothing, for the same reason."""

    def size_tag(self) -> str:
        return ""

    def released_weights(self) -> Tensors:
        """Return the moving average of the actor and the critic: enough to play with or to start a run from."""
        return {
            **{f"actor.{name}": value for name, value in self._average.values.items()},
            **{f"critic.{name}": value for name, value in self._critic.state_dict().items()},
        }

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Start from released weights; targets, moving average and past selves become equal to them."""
        for network, prefix in (
            (self._actor, "actor."),
            (self._target_actor, "actor."),
            (self._critic, "critic."),
            (self._target_critic, "critic."),
        ):
            network.load_state_dict(
                {
                    name.removeprefix(prefix): value
                    for name, value in weights.items()
                    if name.startswith(prefix)
                }
            )
        for copies in (self._average.values, *self._past_selves):
            for name, value in self._actor.state_dict().items():
                copies[name].copy_(value)

    def state(self) -> dict[str, Any]:
        return {
            **{name: network.state_dict() for name, network in self._networks().items()},
            "ema": self._average.values,
            "past_selves": self._past_selves,
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers()],
            "guidance": self._guidance.state(),
            "num_updates": self._num_updates,
        }

    def load_state(self, state: Mapping[str, Any]) -> list[str]:
        own = self._average.values
        for name, network in self._networks().items():
            check_state(state[name], network.state_dict(), name.replace("_", " "))
        past_selves = state["past_selves"]
        if not isinstance(past_selves, list):
            raise ValueError("its past selves are no list")
        for index, weights in enumerate([state["ema"], *past_selves]):
            check_state(weights, own, f"past self {index}" if index else "moving average")
        num_updates = checked_count(state["num_updates"], "number of updates")
        self._guidance.load_state(state["guidance"])
        for name, network in self._networks().items():
            network.load_state_dict(state[name])
        # If more past selves are kept than were saved, copies of the saved moving average fill the missing ones.
        fillers = [state["ema"]] * len(self._past_selves)
        kept = (fillers + past_selves)[len(past_selves) :]
        for mine, saved in zip([own, *self._past_selves], [state["ema"], *kept], strict=True):
            for name, value in saved.items():
                mine[name].copy_(value)
        self._num_updates = num_updates
        parts = [(self._actor, self._step_actor), (self._critic, self._step_critic)]
        return load_optimizers(parts, state["optimizers"], self._learner)

    def _networks(self) -> dict[str, nn.Module]:
        return {
            "actor": self._actor,
            "critic": self._critic,
            "target_actor": self._target_actor,
            "target_critic": self._target_critic,
        }

    def _optimizers(self) -> list[Optimizer]:
        return [*self._step_actor.optimizers, *self._step_critic.optimizers]
