"""Batches from the replay buffer to the training device."""

from __future__ import annotations

import numpy as np
import torch

from ddpzero.replay import ReplayBuffer
from ddpzero.system.seeds import derive_seed
from ddpzero.training.stored_source import StoredSamples

Batch = dict[str, torch.Tensor]


class BatchFeeder:
    """Samples batches; with a GPU, the next batch is copied while the network trains on the current one.

    On a CPU copying would not overlap with training. Without sampling ahead, a run that is stopped and resumed between
    two updates samples the same batches as a run without a stop.
    """

    def __init__(
        self,
        buffer: ReplayBuffer,
        batch_size: int,
        device: torch.device,
        stored: StoredSamples | None = None,
        num_stored: int = 0,
        seed: int = 0,
    ):
        """stored: samples that are not of this run; num_stored of each batch. seed: of the choice among them."""
        self._buffer = buffer
        self._batch_size = batch_size
        self._device = device
        self._stored = stored
        self._num_stored = num_stored
        self._seed = seed
        self._num_batches = 0
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
        if columns is None and self._stored is not None and self._stored.has_held_out:
            columns = self._stored.sample(self._batch_size, seed, is_held_out=True)
        return None if columns is None else self._on_device(columns)

    def begin_at(self, learner_step: int) -> None:
        """Choose stored samples as a run that has made so many updates without a stop."""
        self._num_batches = learner_step

    def _sample(self) -> Batch:
        num_own = self._batch_size - self._num_stored
        parts = [self._buffer.sample(num_own)] if num_own else []
        if self._stored is not None:
            seed = derive_seed(self._seed, self._num_batches, "stored")
            parts.append(self._stored.sample(self._num_stored, seed))
            self._num_batches += 1
        if len(parts) == 1:
            return self._on_device(parts[0])
        return self._on_device(
            {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        )

    def _on_device(self, columns: dict[str, np.ndarray]) -> Batch:
        tensors = {name: torch.from_numpy(column) for name, column in columns.items()}
        if self._device.type == "cpu":
            return tensors
        if self._device.type != "cuda":
            # Apple's GPU shares the machine's memory: there is nothing to pin, and nothing to overlap.
            return {name: tensor.to(self._device) for name, tensor in tensors.items()}
        return {
            name: tensor.pin_memory().to(self._device, non_blocking=True)
            for name, tensor in tensors.items()
        }
