"""A batch that is evaluated on a CPU: its buffers, and the way through the network with as few calls as possible."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddpzero.evaluators.answers import OUTCOME_SIZE, POINTS
from ddpzero.evaluators.cpu_kernels import unpack_planes, write_outcomes
from ddpzero.evaluators.inference import InferenceNetwork
from ddpzero.evaluators.sizes import batch_sizes
from ddpzero.games import Game
from ddpzero.networks import unpack_observations

# Integers of the size of each dtype, in which the kernel moves the bits of floats.
_INTEGERS = {2: torch.int16, 4: torch.int32}
_NUM_RESULTS = 3


@dataclass(frozen=True)
class _Batch:
    """Views of the first rows of the buffers, made once: making them takes as long as a hundred simulations."""

    packed: np.ndarray
    plane_bits: np.ndarray
    planes: Tensor
    logits: Tensor
    value_logits: Tensor
    value_array: np.ndarray
    outcomes: np.ndarray


class CpuSlot:
    """See Slot. Evaluates in submit, since nothing would overlap on a CPU."""

    def __init__(self, inference: InferenceNetwork, max_batch: int) -> None:
        game, dtype = inference.game, inference.dtype
        height, width = game.board_shape
        self._inference = inference
        self._num_planes = game.num_planes
        self._one = _bits_of(torch.ones((), dtype=dtype))[()]
        self._global_values = _values_of_globals(game, dtype)
        self._scratch = np.empty(8 * game.observation_size_bytes, np.uint8)
        # Zeros, because padding a batch may evaluate rows that were never written.
        self.observations = np.zeros((max_batch, game.observation_size_bytes), np.uint8)
        num_inputs = game.num_planes + game.spec.num_globals
        self._planes = torch.zeros(max_batch, height, width, num_inputs, dtype=dtype)
        self._logits = torch.zeros(max_batch, game.num_actions)
        self._logits_array = self._logits.numpy()
        self._value_logits = torch.zeros(max_batch, _NUM_RESULTS)
        self._outcomes = np.zeros((max_batch, OUTCOME_SIZE), np.float32)
        self._sizes = batch_sizes(max_batch)
        self._batches: dict[int, _Batch] = {}
        self._results = self._logits_array[:0], self._outcomes[:0]

    def submit(self, num_positions: int) -> None:
        batch = self._batch(self._sizes[bisect_left(self._sizes, num_positions)])
        unpack_planes(
            batch.packed,
            self._num_planes,
            self._one,
            self._global_values,
            self._scratch,
            batch.plane_bits,
        )
        logits, value_logits, points = self._inference.heads(batch.planes)
        batch.logits.copy_(logits)
        batch.value_logits.copy_(value_logits)
        write_outcomes(batch.value_array, batch.outcomes)
        if points is not None:
            batch.outcomes[:, POINTS] = points.numpy()
        if num_positions != len(self._results[0]):
            self._results = self._logits_array[:num_positions], self._outcomes[:num_positions]

    def is_finished(self) -> bool:
        return True

    def collect(self) -> tuple[np.ndarray, np.ndarray]:
        return self._results

    def wait_before_weights_change(self) -> None:
        pass

    def wait_for_changed_weights(self) -> None:
        pass

    def _batch(self, size: int) -> _Batch:
        batch = self._batches.get(size)
        if batch is None:
            planes, value_logits = self._planes[:size], self._value_logits[:size]
            batch = _Batch(
                packed=self.observations[:size],
                plane_bits=_bits_of(planes).reshape(size, -1, planes.shape[3]),
                planes=planes.permute(0, 3, 1, 2),
                logits=self._logits[:size],
                value_logits=value_logits,
                value_array=value_logits.numpy(),
                outcomes=self._outcomes[:size],
            )
            self._batches[size] = batch
        return batch


def _bits_of(values: Tensor) -> np.ndarray:
    """Return the tensor's own memory as integers."""
    return values.view(_INTEGERS[values.dtype.itemsize]).numpy()


def _values_of_globals(game: Game, dtype: torch.dtype) -> np.ndarray:
    """`[F, 256]`: the value in the planes of each byte of each global, as integers with its bits."""
    packed = torch.zeros(256, game.observation_size_bytes, dtype=torch.uint8)
    packed[:, game.planes_size_bytes :] = torch.arange(256, dtype=torch.uint8)[:, None]
    planes = unpack_observations(packed, game, dtype)
    return _bits_of(planes[:, game.num_planes :, 0, 0].T.contiguous())
