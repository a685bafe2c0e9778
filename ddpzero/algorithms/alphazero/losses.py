"""AlphaZero's losses as pure functions from outputs, targets and weights to losses and metrics.

Policy: cross-entropy with the search's improved policy. Value: cross-entropy of win, draw and loss with a mix of the
episode's outcome and the search's root values. Auxiliary losses: the final score and the final ownership of each cell,
in games that have them, the policy of the next move, a softer policy, and the values of the next plies (Wu,
"Accelerating self-play learning in Go", 2019, and KataGo's later methods).

Letters: B batch, A actions, O owner cells, S scores from -max_score to max_score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ddpzero.algorithms.alphazero.settings import LossSettings
from ddpzero.networks.layers import MASKED_LOGIT

_SOFT_POLICY_TEMPERATURE = 4.0
# The metrics of policy_loss that are means over the samples with a policy target.
_OF_KNOWN_POLICIES = ("losses/policy", "policy/kl_to_search", "policy/target_entropy")


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

    policy, next_policy, soft_policy: `[B, A]`. value: `[B, 3]`, win, draw and loss. outcome: `[B]`, in [-1, 1], for
    metrics only. short_value: `[B, 3, 3]`, win, draw and loss for each horizon.
    policy_weights: `[B]`, of the samples in the losses of policy and soft_policy; None: all 1.
    """

    policy: Tensor
    value: Tensor
    outcome: Tensor
    next_policy: Tensor | None = None
    soft_policy: Tensor | None = None
    short_value: Tensor | None = None
    policy_weights: Tensor | None = None
    score: ScoreTarget | None = None
    ownership: OwnershipTarget | None = None


@dataclass(frozen=True)
class Outputs:
    """Logits of the heads. policy: `[B, A]`. value: `[B, 3]`. auxiliary: logits of the other heads, by name."""

    policy: Tensor
    value: Tensor
    auxiliary: Mapping[str, Tensor] = field(default_factory=dict)


def rows_of(values: Any, rows: slice) -> Any:
    """Return the same rows of all tensors in Targets, or in another dataclass or None."""
    if values is None or isinstance(values, Tensor):
        return None if values is None else values[rows]
    taken = {each.name: rows_of(getattr(values, each.name), rows) for each in fields(values)}
    return replace(values, **taken)


def num_known(targets: Targets) -> dict[str, Tensor]:
    """Return for each loss that is a mean over the samples with its target how many these are, at least 1."""
    counts = {"policy": _num_with_policy(targets.policy)}
    for name, policy in (
        ("next_policy", targets.next_policy),
        ("soft_policy", targets.soft_policy),
    ):
        if policy is not None:
            counts[name] = _num_with_policy(policy)
    for name, target in (("score", targets.score), ("ownership", targets.ownership)):
        if target is not None:
            counts[name] = target.is_known.sum().clamp_min(1)
    return counts


def _num_with_policy(target: Tensor) -> Tensor:
    # Policies in half precision do not sum to exactly 1.
    return (target.sum(1) > 0.5).sum().clamp_min(1)


def total_loss(
    outputs: Outputs,
    targets: Targets,
    weights: LossSettings,
    factors: Mapping[str, Tensor] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum of all losses, and metrics.

    factors: of losses by name, by which the mean of the losses of the parts of a batch is the loss of the batch.
    """
    losses: dict[str, Tensor] = {}
    losses["policy"], metrics = policy_loss(outputs.policy, targets.policy, targets.policy_weights)
    losses["value"], of_value = value_loss(outputs.value, targets.value, targets.outcome)
    metrics |= of_value
    if targets.next_policy is not None:
        losses["next_policy"], _ = policy_loss(
            outputs.auxiliary["next_policy"], targets.next_policy
        )
    if targets.soft_policy is not None:
        losses["soft_policy"], _ = policy_loss(
            outputs.auxiliary["soft_policy"], targets.soft_policy, targets.policy_weights
        )
    if targets.short_value is not None:
        losses["short_value"] = short_value_loss(
            outputs.auxiliary["short_value"], targets.short_value
        )
    if targets.score is not None:
        losses["score"], of_score = score_loss(outputs.auxiliary["score"], targets.score)
        metrics |= of_score
    if targets.ownership is not None:
        losses["ownership"] = ownership_loss(outputs.auxiliary["ownership"], targets.ownership)
    for name, factor in (factors or {}).items():
        losses[name] = factor * losses[name]
        if name == "policy":
            metrics |= {tag: factor * metrics[tag] for tag in _OF_KNOWN_POLICIES}
    total = weights.policy * losses["policy"] + weights.value * losses["value"]
    for name, loss in losses.items():
        if name not in ("policy", "value"):
            total = total + getattr(weights, name) * loss
    # losses/policy is among the metrics already, without the weights of the samples.
    return total, {**{f"losses/{name}": loss.detach() for name, loss in losses.items()}, **metrics}


def policy_loss(
    logits: Tensor, target: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the cross-entropy with the search's policy, and metrics. logits, target: `[B, A]`.

    Rows of 0 in `target` are samples without a policy target; all means but the entropy are over the others.
    weights: `[B]`, of the samples in the loss, with an expectation of 1; the metrics are plain means.
    """
    log_policy = functional.log_softmax(logits.float(), dim=1)
    losses = -(target * log_policy).sum(1)
    num_samples = _num_with_policy(target)
    # Not divided by the sum of the weights: that would weaken batches of many surprises.
    loss = (losses if weights is None else weights * losses).sum() / num_samples
    with torch.no_grad():
        plain_loss = losses.sum() / num_samples
        target_entropy = -(target * target.clamp_min(1e-12).log()).sum() / num_samples
        metrics = {
            "losses/policy": plain_loss,
            "policy/kl_to_search": plain_loss - target_entropy,
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


def short_value_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of win, draw and loss, a mean over the horizons. logits, target: `[B, 3, 3]`."""
    return -(target * functional.log_softmax(logits.float(), dim=2)).sum(2).mean()


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


def soft_policy_target(policy: Tensor) -> Tensor:
    """Return policies `[B, A]` to the power of 1/4, normalized: what the search thinks of the less likely moves."""
    softer = policy.pow(1.0 / _SOFT_POLICY_TEMPERATURE)
    # The sum is at least 1, except for samples without a policy target, which stay 0.
    return softer / softer.sum(1, keepdim=True).clamp_min(0.5)


def value_target(batch: Mapping[str, Tensor], root_value_weight: float) -> Tensor:
    """Return win, draw and loss `[B, 3]` for the mover: the lambda-return if the samples have it.

    Otherwise a mix of the outcome and the search's root value.
    """
    if "lambda_value" in batch:
        return win_draw_loss(batch["lambda_value"], batch["lambda_draw"])
    played = win_draw_loss(batch["outcome"], batch["outcome_draw"])
    searched = win_draw_loss(batch["root_value"], batch["root_draw"])
    return (1.0 - root_value_weight) * played + root_value_weight * searched


def win_draw_loss(value: Tensor, draw: Tensor) -> Tensor:
    """Return probabilities `[..., 3]` of win, draw and loss with win - loss = `value` [...].

    The probability of a draw is `draw` [...], or the largest that the value allows.
    """
    draw = torch.minimum(draw, 1.0 - value.abs()).clamp_min(0.0)
    rest = 1.0 - draw
    return torch.stack([(rest + value) / 2, draw, (rest - value) / 2], dim=-1)
