"""Sums of metrics that updates leave on their device: one vector for all of an update, so that adding is one kernel."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class DeviceSums:
    """Sums scalars by tag without waiting for their device."""

    def __init__(self) -> None:
        # By device and tags: an update has the same ones again and again.
        self._sums: dict[tuple[torch.device, tuple[str, ...]], Tensor] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add to the sum of each tag. values: scalars of any dtype."""
        for device in {value.device for value in values.values()}:
            own = {tag: value for tag, value in values.items() if value.device == device}
            stacked = torch.stack(list(own.values())).detach().float()
            key = (device, tuple(own))
            if key in self._sums:
                self._sums[key].add_(stacked)
            else:
                self._sums[key] = stacked

    def take(self) -> dict[str, float]:
        """Return the sums since the last call; waits for the device."""
        sums: dict[str, float] = {}
        for (_, tags), vector in self._sums.items():
            for tag, value in zip(tags, vector.tolist(), strict=True):
                sums[tag] = sums.get(tag, 0.0) + value
        self._sums = {}
        return sums
