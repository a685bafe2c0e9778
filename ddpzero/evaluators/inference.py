"""A copy of a network in the form that its device runs fastest: dtype, memory layout, fused kernels.

Used by NetworkEvaluator and by the benchmark of the bare forward rate, so that both run the same code.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ddpzero.evaluators import fused
from ddpzero.evaluators.answers import points_of_score
from ddpzero.games import Game
from ddpzero.networks import RandomViews, unpack_observations
from ddpzero.networks.memory_format import fast_memory_format, on_device

# Of all boards of a curriculum in a process.
_MAX_COMPILED_SIZES = 128


class InferenceNetwork:
    """Runs a private copy of `network` without gradients; the original may continue training.

    Letters: B batch, C planes, A actions. In the layout that is fast on the device.
    """

    def __init__(
        self,
        network: nn.Module,
        game: Game,
        device: torch.device,
        dtype: torch.dtype,
        compile: bool = False,
        points_scale: float | None = None,
        random_symmetry: bool = False,
    ):
        """points_scale: the network's head "score" is asked for expected points; see search/points.py.
        random_symmetry: `evaluate` shows it a random symmetric view of each position.
        """
        self.game = game
        self.device = device
        self.dtype = dtype
        self._module = copy.deepcopy(network).eval().requires_grad_(False)
        self._shapes = {name: value.shape for name, value in self._module.state_dict().items()}
        if device.type == "cpu" and fused.is_available():
            fused.fuse_convolutions(self._module, dtype, game.board_shape)
        self._module = on_device(self._module.to(dtype=dtype), device)
        self._forward: Callable[..., Any] = _compiled(self._module) if compile else self._module
        self._is_compiled = compile
        self._points: Tensor | None = None  # [2 * max_score + 1], the points of each score margin
        if points_scale is not None:
            most = game.spec.max_score
            points = [points_of_score.py_func(s, points_scale) for s in range(-most, most + 1)]
            self._points = torch.tensor(points, device=device)
        self._views = RandomViews(game, device) if random_symmetry else None
        if device.type == "cuda":
            # Makes the tables that unpack positions in the current stream, for which the streams of slots wait.
            self.planes(torch.zeros(1, game.observation_size_bytes, dtype=torch.uint8).to(device))

    def planes(self, packed: Tensor) -> Tensor:
        """Bit-packed observations `[B, bytes]` on the device -> planes in the format that `forward` takes."""
        return unpack_observations(packed, self.game, self.dtype, fast_memory_format(self.device))

    @torch.inference_mode()
    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """planes `[B, C, H, W]` -> policy logits `[B, A]` and value logits `[B, 3]`, all in `dtype`."""
        return self._forward(planes)

    @torch.inference_mode()
    def evaluate(self, packed: Tensor) -> tuple[Tensor, Tensor]:
        """packed `[B, bytes]` uint8 -> policy logits `[B, A]` in `dtype`, outcomes float32: probabilities `[B, 3]`, or
        with points `[B, 4]`."""
        policy_logits, value_logits, points = self.heads(self.planes(packed))
        outcomes = torch.softmax(value_logits, dim=1, dtype=torch.float32)
        if points is not None:
            outcomes = torch.cat([outcomes, points[:, None]], dim=1)
        return policy_logits, outcomes

    @torch.inference_mode()
    def heads(self, planes: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """planes `[B, C, H, W]` -> policy logits `[B, A]` and value logits `[B, 3]` in `dtype`, and expected points
        `[B]` float32 if the network is asked for them."""
        if self._views is not None:
            symmetries = self._views.choose(planes)
            planes = self._views.turn(planes, symmetries)
        points = None
        if self._points is None:
            policy_logits, value_logits = self._forward(planes)
        else:
            policy_logits, value_logits, others = self._forward(planes, ("score",))
            points = torch.softmax(others["score"], dim=1, dtype=torch.float32) @ self._points
        if self._views is not None:
            policy_logits = self._views.turn_back(policy_logits, symmetries)
        return policy_logits, value_logits, points

    @torch.inference_mode()
    def float_answers(self, packed: Tensor) -> tuple[Tensor, Tensor]:
        """As `evaluate`, but both float32 and contiguous, to be copied to the CPU as they are."""
        logits, outcomes = self.evaluate(packed)
        return logits.float().contiguous(), outcomes.contiguous()

    @property
    def captures_itself(self) -> bool:
        """Whether torch.compile makes CUDA graphs, as with TORCHINDUCTOR_CUDAGRAPHS=1."""
        if not self._is_compiled:
            return False
        from torch._inductor import config  # takes a second

        return bool(config.triton.cudagraphs)

    @torch.inference_mode()
    def load_weights(self, arrays: Mapping[str, np.ndarray | Tensor]) -> None:
        """Take the parameters of a network of the same shape, in place, by the names of its state_dict: graphs have
        captured where they are.

        Raises ValueError, and changes nothing, if a name is missing or a shape is another.
        """
        for name, shape in self._shapes.items():
            given = tuple(arrays[name].shape) if name in arrays else "missing"
            if given != tuple(shape):
                raise ValueError(
                    f"These weights are of another network: {name} is {given} and must be {tuple(shape)}."
                )
        self._module.load_state_dict({name: _as_tensor(arrays[name]) for name in self._shapes})


def _compiled(module: nn.Module) -> Callable[..., Any]:
    """Return the module as torch.compile makes it, once for each batch size."""
    import torch._dynamo

    # Of its versions of a function: beyond 8, torch would run further batch sizes, or all, uncompiled.
    limits = torch._dynamo.config
    limits.cache_size_limit = max(limits.cache_size_limit, _MAX_COMPILED_SIZES)
    return torch.compile(module, dynamic=False)


def _as_tensor(array: np.ndarray | Tensor) -> Tensor:
    # A copy: published weights are in read-only memory, and torch warns about tensors that share such memory.
    return array if isinstance(array, Tensor) else torch.tensor(array)
