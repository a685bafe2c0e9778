"""One step of a network's optimizers, skipped if the gradient is not finite. Called by updaters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Step(NamedTuple):
    """The result of one step; scalars on the device. norm: of the gradient. is_skipped: 1 if nothing was changed."""

    norm: Tensor
    is_skipped: Tensor


class GradientStep:
    """Minimizes losses with the optimizers that together hold a network's parameters.

    A step whose gradient is not finite changes nothing: no parameter, no momentum, no count of steps. All ranks skip
    the same steps, since the gradient of a rank whose loss is not finite becomes NaN before the ranks are averaged.
    The decision stays on the device, and nothing waits for it, except on Apple's GPUs.

    optimizers: of make_optimizers, which read `found_inf`, 1 for a step that must change nothing. May be replaced by
    new ones of the same parameters. gradient_clip: the largest norm of a gradient.
    scales_loss: for float16, in which small gradients would become 0.
    skipped_in_a_row: int64 scalar on the device, up to the newest step. With scales_loss a few are normal: that is how
    the scale finds its size.
    """

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        gradient_clip: float,
        device: torch.device,
        scales_loss: bool = False,
    ) -> None:
        self.scaler = torch.amp.GradScaler(device.type, enabled=scales_loss)
        self.skipped_in_a_row = torch.zeros((), dtype=torch.int64, device=device)
        self.optimizers = list(optimizers)
        self._gradient_clip = gradient_clip
        # There the fused optimizers ignored found_inf until June 2026 (pytorch/pytorch#186360).
        self._host_decides = device.type == "mps"

    def __call__(self, loss: Tensor, learning_rate: float) -> Step:
        """Make one step down from `loss`, a scalar; an optimizer group's rate is learning_rate times its lr_factor."""
        self.begin()
        self.add(loss)
        return self.finish(learning_rate)

    def begin(self) -> None:
        """Begin a step down from the sum of several losses: then call `add` for each, and `finish`."""
        self._zero_gradients()

    def add(self, loss: Tensor, share: float = 1.0) -> None:
        """Add the gradient of `share` times the loss; its graph is gone afterwards."""
        self.scaler.scale(loss).backward(gradient=share * _gradient_of_loss(loss))

    def finish(self, learning_rate: float) -> Step:
        """Make the step; see __call__."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * group["lr_factor"]
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(self._parameters(), self._gradient_clip).detach()
        is_skipped = ~norm.isfinite()
        if not self._host_decides:
            self._step_on_device(is_skipped)
        elif not is_skipped:
            for optimizer in self.optimizers:
                optimizer.step()
        if self.scaler.is_enabled():
            self.scaler.update()
        self.skipped_in_a_row = (self.skipped_in_a_row + 1) * is_skipped
        return Step(norm, is_skipped.to(norm.dtype))

    def _step_on_device(self, is_skipped: Tensor) -> None:
        for optimizer in self.optimizers:
            optimizer.found_inf = is_skipped.float()  # type: ignore[attr-defined]
            optimizer.step()
            del optimizer.found_inf  # type: ignore[attr-defined]

    def has_finite_gradient(self, loss: Tensor) -> bool:
        """Return whether a step from `loss` would not be skipped; changes nothing, and waits for the device.

        Like a step it is for all ranks together. The loss is not scaled: what float16's scale makes overflow is no sign
        of bad weights.
        """
        self._zero_gradients()
        loss.backward(gradient=_gradient_of_loss(loss))
        norm = nn.utils.get_total_norm([p.grad for p in self._parameters() if p.grad is not None])
        self._zero_gradients()
        return bool(norm.isfinite())

    def _zero_gradients(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def _parameters(self) -> list[nn.Parameter]:
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        return [parameter for group in groups for parameter in group["params"]]


def _gradient_of_loss(loss: Tensor) -> Tensor:
    """Return the gradient of the loss: 1, or NaN, which then reaches every parameter on every rank."""
    return torch.where(loss.detach().isfinite(), 1.0, torch.nan).to(loss.dtype)
