"""AlphaZero's losses as pure functions from outputs, targets and weights to losses and metrics.

Policy: cross-entropy with the search's improved policy. Value: cross-entropy of win, draw and loss with a mix of the
episode's outcome and the search's root value. Auxiliary losses, in games that have these targets: the final score, the
final ownership of each cell, and the policy of the next move (Wu, "Accelerating self-play learning in Go", 2019).

Letters: B batch, A actions, O owner cells, S scores from -max_score to max_score.
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
    """The final score margin from the perspective of the mover.

    points: `[B]`, the margin. distribution: `[B, S]`, the target of the cross-entropy.
    is_known: `[B]`, 0 for samples without a score target, else 1.
    is_possible: `[B, S]` bool, which scores the board allows; None: all of them.
    """

    points: Tensor
    distribution: Tensor
    is_known: Tensor
    is_possible: Tensor | None = None


@dataclass(frozen=True)
class OwnershipTarget:
    """The final ownership of the cells.

    owners: `[B, O]`: 1 the mover, -1 the opponent, 0 nobody. is_on_board: `[B, O]`, 0 for cells outside the board.
    is_known: `[B]`, 0 for samples without an ownership target, else 1.
    """

    owners: Tensor
    is_on_board: Tensor
    is_known: Tensor


@dataclass(frozen=True)
class Targets:
    """The training targets of a batch.

    policy, next_policy: `[B, A]`. value: `[B, 3]`, win, draw and loss. outcome: `[B]`, in [-1, 1], for metrics only.
    """

    policy: Tensor
    value: Tensor
    outcome: Tensor
    next_policy: Tensor | None = None
    score: ScoreTarget | None = None
    ownership: OwnershipTarget | None = None


@dataclass(frozen=True)
class Outputs:
    """Logits of the heads. policy: `[B, A]`. value: `[B, 3]`. auxiliary: logits of the other heads, by name."""

    policy: Tensor
    value: Tensor
    auxiliary: Mapping[str, Tensor] = field(default_factory=dict)


def total_loss(
    outputs: Outputs, targets: Targets, weights: LossSettings
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum of all losses, and metrics."""
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
    """Return the cross-entropy with the search's policy, and metrics. logits, target: `[B, A]`."""
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
    """Return the cross-entropy of win, draw and loss, and metrics. logits, target: `[B, 3]`. outcome: `[B]`."""
    log_value = functional.log_softmax(logits.float(), dim=1)
    with torch.no_grad():
        guess = log_value.exp()
        signs_agree = (guess[:, 0] - guess[:, 2]).sign() == outcome.sign()
        decided = outcome != 0
        accuracy = (signs_agree & decided).sum() / decided.sum().clamp_min(1)
    return -(target * log_value).sum(1).mean(), {"value/accuracy": accuracy}


def score_loss(logits: Tensor, target: ScoreTarget) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the cross-entropy of the final score, and metrics. logits: `[B, S]`."""
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
    """Return the binary cross-entropy of the owners, a mean over the cells on the board. logits: `[B, O]`."""
    # The probability that the mover owns the cell: 1, 0, or 1/2 for nobody's.
    shares = (target.owners + 1.0) / 2.0
    errors = functional.binary_cross_entropy_with_logits(logits.float(), shares, reduction="none")
    errors = (errors * target.is_on_board).sum(1) / target.is_on_board.sum(1)
    return (errors * target.is_known).sum() / target.is_known.sum().clamp_min(1.0)


def value_target(batch: Mapping[str, Tensor], root_value_weight: float) -> Tensor:
    """Return win, draw and loss `[B, 3]` for the mover: a mix of the outcome and the search's root value."""
    played = win_draw_loss(batch["outcome"], batch["outcome_draw"])
    searched = win_draw_loss(batch["root_value"], batch["root_draw"])
    return (1.0 - root_value_weight) * played + root_value_weight * searched


def win_draw_loss(value: Tensor, draw: Tensor) -> Tensor:
    """Return probabilities `[B, 3]` of win, draw and loss with win - loss = `value` [B].

    The probability of a draw is `draw` [B], or the largest that the value allows.
    """
    draw = torch.minimum(draw, 1.0 - value.abs()).clamp_min(0.0)
    rest = 1.0 - draw
    return torch.stack([(rest + value) / 2, draw, (rest - value) / 2], dim=1)
