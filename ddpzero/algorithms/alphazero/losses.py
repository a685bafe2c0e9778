"""AlphaZero's losses as pure functions: outputs, targets and weights to losses and metrics.

Policy: cross-entropy with the search's improved policy. Value: cross-entropy of win, draw and loss with a mix of the
game's outcome and the search's root value. In games that have them also the points at the end, who owns each cell then,
and the next move's policy (Wu, "Accelerating self-play learning in Go", 2019).

Letters: B batch, A actions, O what is owned, S possible scores, from -max_score to max_score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from ddpzero.algorithms.alphazero.settings import LossSettings
from ddpzero.networks.layers import MASKED_LOGIT


@dataclass(frozen=True)
class ScoreTarget:
    """The points at the end, seen by the mover.

    points: `[B]`. distribution: `[B, S]`, what is learned. is_known: `[B]`, 0 for samples that teach no points.
    is_possible: `[B, S]` bool, which scores the board allows; None: all.
    """

    points: Tensor
    distribution: Tensor
    is_known: Tensor
    is_possible: Tensor | None = None


@dataclass(frozen=True)
class OwnershipTarget:
    """Who owns what at the end. owners: `[B, O]`, 1 the mover, -1 the opponent, 0 nobody.

    is_on_board: `[B, O]`, 0 for what only other boards have. is_known: `[B]`, 0 for samples that teach no owners.
    """

    owners: Tensor
    is_on_board: Tensor
    is_known: Tensor


@dataclass(frozen=True)
class Targets:
    """What a batch is fitted to. policy, next_policy: `[B, A]`. value: `[B, 3]`. outcome: `[B]`, for the metrics."""

    policy: Tensor
    value: Tensor
    outcome: Tensor
    next_policy: Tensor | None = None
    score: ScoreTarget | None = None
    ownership: OwnershipTarget | None = None


@dataclass(frozen=True)
class Outputs:
    """Logits of the heads. policy: `[B, A]`. value: `[B, 3]`. auxiliary: of the others, by name."""

    policy: Tensor
    value: Tensor
    auxiliary: Mapping[str, Tensor] = field(default_factory=dict)


def total_loss(
    outputs: Outputs, targets: Targets, weights: LossSettings
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of all losses, and metrics."""
    losses: dict[str, Tensor] = {}
    losses["policy"], metrics = policy_loss(outputs.policy, targets.policy)
    losses["value"], of_value = value_loss(outputs.value, targets.value, targets.outcome)
    metrics |= of_value
    if targets.next_policy is not None:
        losses["next_policy"], _ = policy_loss(
            outputs.auxiliary["next_policy"], targets.next_policy
        )
    if targets.score is not None:
        losses["score"], of_score = score_loss(outputs.auxiliary["score"], targets.score)
        metrics |= of_score
    if targets.ownership is not None:
        losses["ownership"] = ownership_loss(outputs.auxiliary["ownership"], targets.ownership)
    total = weights.policy * losses["policy"] + weights.value * losses["value"]
    for name in ("next_policy", "score", "ownership"):
        if name in losses:
            total = total + getattr(weights, name) * losses[name]
    metrics |= {f"losses/{name}": loss.detach() for name, loss in losses.items()}
    return total, metrics


def policy_loss(logits: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy with the search's policy, and metrics; logits, target: `[B, A]`."""
    log_policy = functional.log_softmax(logits.float(), dim=1)
    loss = -(target * log_policy).sum(1).mean()
    with torch.no_grad():
        target_entropy = -(target * target.clamp_min(1e-12).log()).sum(1).mean()
        metrics = {
            "policy/kl_to_search": loss - target_entropy,
            "policy/entropy": -(log_policy.exp() * log_policy).sum(1).mean(),
            "policy/target_entropy": target_entropy,
        }
    return loss, metrics


def value_loss(logits: Tensor, target: Tensor, outcome: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of win, draw and loss, and metrics; logits, target: `[B, 3]`, outcome: `[B]`."""
    log_value = functional.log_softmax(logits.float(), dim=1)
    with torch.no_grad():
        guess = log_value.exp()
        signs_agree = (guess[:, 0] - guess[:, 2]).sign() == outcome.sign()
        decided = outcome != 0
        accuracy = (signs_agree & decided).sum() / decided.sum().clamp_min(1)
    return -(target * log_value).sum(1).mean(), {"value/accuracy": accuracy}


def score_loss(logits: Tensor, target: ScoreTarget) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of the points, and metrics; logits `[B, S]`."""
    logits = logits.float()
    if target.is_possible is not None:
        logits = logits.masked_fill(~target.is_possible, MASKED_LOGIT)
    errors = -(target.distribution * functional.log_softmax(logits, dim=1)).sum(1)
    num_known = target.is_known.sum().clamp_min(1.0)
    max_score = (logits.shape[1] - 1) // 2
    with torch.no_grad():
        scores = torch.arange(-max_score, max_score + 1, device=logits.device)
        mean = (logits.softmax(1) * scores).sum(1)
        error = ((mean - target.points).abs() * target.is_known).sum() / num_known
    metrics = {"score/mean": mean.mean(), "score/mean_error": error}
    return (errors * target.is_known).sum() / num_known, metrics


def ownership_loss(logits: Tensor, target: OwnershipTarget) -> Tensor:
    """Binary cross-entropy of the owners, a mean over what is on the board; logits `[B, O]`."""
    shares = (target.owners + 1.0) / 2.0  # an owner is sure, nobody is half and half
    errors = functional.binary_cross_entropy_with_logits(logits.float(), shares, reduction="none")
    errors = (errors * target.is_on_board).sum(1) / target.is_on_board.sum(1)
    return (errors * target.is_known).sum() / target.is_known.sum().clamp_min(1.0)


def value_target(batch: Mapping[str, Tensor], root_value_weight: float) -> Tensor:
    """Win, draw and loss `[B, 3]` for the mover: a mix of the outcome and the search's root value."""
    played = win_draw_loss(batch["outcome"], batch["outcome_draw"])
    searched = win_draw_loss(batch["root_value"], batch["root_draw"])
    return (1.0 - root_value_weight) * played + root_value_weight * searched


def win_draw_loss(value: Tensor, draw: Tensor) -> Tensor:
    """Probabilities [B, 3] whose win - loss is `value` [B]; the draw's share is `draw`, as far as the value allows."""
    draw = torch.minimum(draw, 1.0 - value.abs()).clamp_min(0.0)
    rest = 1.0 - draw
    return torch.stack([(rest + value) / 2, draw, (rest - value) / 2], dim=1)
