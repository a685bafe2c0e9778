"""Batches from the replay buffer to the training device, the next one while the network trains on the current one."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from ddpzero.replay import ReplayBuffer
from ddpzero.replay.buffer import SamplingState
from ddpzero.replay.sample import samples_size_bytes
from ddpzero.system.seeds import derive_seed
from ddpzero.training.stored_source import StoredSamples

Batch = dict[str, torch.Tensor]

# Batches that are sampled at once on a CPU stay in its caches until they are trained on.
_BYTES_AT_ONCE = 1 << 20


class _Prepared(NamedTuple):
    """A batch on its way to the device. is_copied: set there when all of it has arrived; None on the host."""

    batch: Batch
    is_copied: torch.cuda.Event | None


class _Position(NamedTuple):
    """What the choice of the next batch depends on, apart from the data."""

    sampling: SamplingState
    num_batches: int


class BatchFeeder:
    """Samples batches. For a GPU a thread does so ahead of time, and copies them there on a stream of its own.

    On a CPU it does not pay: a batch takes 0.1 % of the time of an update with the network of quick, 1 % with that of
    snakes, and a thread takes the processor from actors. What costs there is that an update leaves neither the code nor
    the data of sampling in the caches: of several small batches at once, only the first one pays for that.
    samples_ahead: None for that choice.

    A batch that was sampled ahead is of the data of some updates before. It leaves no trace if it is forgotten: a run
    that is stopped and resumed between two updates samples the same batches as a run without a stop.
    """

    def __init__(
        self,
        buffer: ReplayBuffer,
        batch_size: int,
        device: torch.device,
        stored: StoredSamples | None = None,
        num_stored: int = 0,
        seed: int = 0,
        samples_ahead: bool | None = None,
    ):
        """stored: samples that are not of this run; num_stored of each batch. seed: of the choice among them."""
        self._buffer = buffer
        self._batch_size = batch_size
        self._device = device
        self._stored = stored
        self._num_stored = num_stored
        self._seed = seed
        self._num_batches = 0
        on_gpu = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if on_gpu else None
        self._samples_ahead = on_gpu if samples_ahead is None else samples_ahead
        self._thread: ThreadPoolExecutor | None = None
        self._next: Future[_Prepared] | None = None
        self._before_next = self._position()
        self._most_at_once = max(1, _BYTES_AT_ONCE // samples_size_bytes(buffer.spec, batch_size))
        # Sampled at once, each with the position before it.
        self._ready: deque[tuple[_Position, _Prepared]] = deque()
        self._num_expected = 0

    def expect(self, num_batches: int) -> None:
        """Note that so many batches will be taken one after the other: they may be sampled at once."""
        self._num_expected = num_batches

    def take(self) -> Batch:
        """Return the batch to train on: columns of the sample spec as tensors on the device.

        Raises what went wrong in the thread.
        """
        if not self._samples_ahead:
            return self._received(self._take_ready())
        batch = self._received(self._take_next())
        self._begin_next()
        return batch

    def forget(self) -> None:
        """Drop the batches that were sampled ahead, as if they had not been sampled.

        Call it when the data has changed, and before the state of the buffer is saved.
        """
        if self._next is not None:
            # What went wrong with a batch that nobody needs is no concern.
            self._next.exception()
            self._next = None
            self._return_to(self._before_next)
        if self._ready:
            self._return_to(self._ready[0][0])
            self._ready.clear()
        self._num_expected = 0

    def close(self) -> None:
        """End the thread."""
        self.forget()
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def held_out(self, seed: int) -> Batch | None:
        """Return a batch of held-out samples, chosen by the seed alone; None if there are none."""
        columns = self._buffer.sample_held_out(self._batch_size, seed)
        if columns is None and self._stored is not None and self._stored.has_held_out:
            columns = self._stored.sample(self._batch_size, seed, is_held_out=True)
        return None if columns is None else self._received(self._on_its_way(columns))

    def begin_at(self, learner_step: int) -> None:
        """Choose stored samples as a run that has made so many updates without a stop."""
        self._num_batches = learner_step

    # ---------------------------------------------------------------- ahead of time

    def _take_ready(self) -> _Prepared:
        if not self._ready:
            for _ in range(max(1, min(self._num_expected, self._most_at_once))):
                self._ready.append((self._position(), self._prepared()))
        self._num_expected -= 1
        return self._ready.popleft()[1]

    def _begin_next(self) -> None:
        if self._thread is None:
            # Otherwise the thread would take memory of the first GPU for another rank's batches.
            on_gpu = self._device.type == "cuda"
            start = partial(torch.cuda.set_device, self._device) if on_gpu else None
            self._thread = ThreadPoolExecutor(1, "batches", initializer=start)
        self._before_next = self._position()
        self._next = self._thread.submit(self._prepared)

    def _take_next(self) -> _Prepared:
        if self._next is None:
            self._begin_next()
        assert self._next is not None
        future, self._next = self._next, None
        return future.result()

    def _position(self) -> _Position:
        return _Position(self._buffer.sampling_state(), self._num_batches)

    def _return_to(self, position: _Position) -> None:
        self._buffer.return_to(position.sampling)
        self._num_batches = position.num_batches

    # ---------------------------------------------------------------- one batch

    def _prepared(self) -> _Prepared:
        num_own = self._batch_size - self._num_stored
        parts = [self._buffer.sample(num_own)] if num_own else []
        if self._stored is not None:
            seed = derive_seed(self._seed, self._num_batches, "stored")
            parts.append(self._stored.sample(self._num_stored, seed))
            self._num_batches += 1
        if len(parts) == 1:
            return self._on_its_way(parts[0])
        return self._on_its_way(
            {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        )

    def _on_its_way(self, columns: dict[str, np.ndarray]) -> _Prepared:
        """Begin to copy a batch to the device."""
        tensors = {name: torch.from_numpy(column) for name, column in columns.items()}
        if self._device.type == "cpu":
            return _Prepared(tensors, None)
        if self._stream is None:
            return _Prepared({n: tensor.to(self._device) for n, tensor in tensors.items()}, None)
        with torch.cuda.stream(self._stream):
            batch = {
                name: tensor.pin_memory().to(self._device, non_blocking=True)
                for name, tensor in tensors.items()
            }
            is_copied = torch.cuda.Event()
            is_copied.record(self._stream)
        return _Prepared(batch, is_copied)

    def _received(self, prepared: _Prepared) -> Batch:
        """Let the device, but not this program, wait until a batch is there."""
        if prepared.is_copied is not None:
            stream: Any = torch.cuda.current_stream(self._device)
            stream.wait_event(prepared.is_copied)
            for tensor in prepared.batch.values():
                # Its memory belongs to the stream of copies, which may not reuse it before it is read here.
                tensor.record_stream(stream)
        return prepared.batch
