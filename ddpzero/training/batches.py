"""Batches from the replay buffer to the training device."""

from __future__ import annotations

import numpy as np
import torch

from ddpzero.replay import ReplayBuffer

Batch = dict[str, torch.Tensor]


class BatchFeeder:
    """Samples batches; with a GPU, the next batch is copied while the network trains on the current one.

    On a CPU copying would not overlap with training. Without sampling ahead, a run that is stopped and resumed between
    two updates samples the same batches as a run without a stop.
    """

    def __init__(self, buffer: ReplayBuffer, batch_size: int, device: torch.device):
        self._buffer = buffer
        self._batch_size = batch_size
        self._device = device
        self._next: Batch | None = None

    def take(self) -> Batch:
        """Return the batch to train on: columns of the sample spec as tensors on the device."""
        if self._device.type == "cpu":
            return self._sample()
        batch = self._next or self._sample()
        self._next = self._sample()
        return batch

    def forget(self) -> None:
        """Drop the batch that was sampled ahead, because the data has changed."""
        self._next = None

    def held_out(self, seed: int) -> Batch | None:
        """Return a batch of held-out samples, chosen by the seed alone; None if there are none."""
        columns = self._buffer.sample_held_out(self._batch_size, seed)
        return None if columns is None else self._on_device(columns)

    def _sample(self) -> Batch:
        return self._on_device(self._buffer.sample(self._batch_size))

    def _on_device(self, columns: dict[str, np.ndarray]) -> Batch:
        tensors = {name: torch.from_numpy(column) for name, column in columns.items()}
        if self._device.type == "cpu":
            return tensors
        return {
            name: tensor.pin_memory().to(self._device, non_blocking=True)
            for name, tensor in tensors.items()
        }
