"""A network as an evaluator, in the process that searches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ddpzero.evaluators.precision import make_inference_network
from ddpzero.evaluators.slots import make_slots
from ddpzero.games import Game
from ddpzero.networks.precision import Precision


class NetworkEvaluator:
    """See Evaluator. Evaluates with a private copy of `network`; load_weights updates it.

    precision "auto": the faster one on this processor, measured in half a second.
    compile: torch.compile, for GPUs.
    points_scale: SearchSettings.points_scale of the searches that it serves.
    random_symmetry: each position is shown to the network in a random symmetric view (networks/random_views.py).
    cuda_graphs: launches the kernels of a batch at once, on a GPU (graphs.py).
    Uses as many CPU threads as the process has set (torch.set_num_threads) and sets none itself.
    """

    def __init__(
        self,
        network: nn.Module,
        game: Game,
        max_batch: int,
        num_slots: int = 1,
        device: str | torch.device = "cpu",
        precision: Precision = "auto",
        compile: bool = False,
        points_scale: float | None = None,
        random_symmetry: bool = False,
        cuda_graphs: bool = False,
    ):
        self.max_batch = max_batch
        self.num_slots = num_slots
        self.weights_version = 0
        self.inference = make_inference_network(
            network,
            game,
            max_batch,
            torch.device(device),
            precision,
            compile,
            points_scale,
            random_symmetry,
        )
        self._slots = make_slots(self.inference, max_batch, num_slots, cuda_graphs)

    def observations(self, slot: int) -> np.ndarray:
        return self._slots[slot].observations

    def submit(self, slot: int, num_positions: int) -> None:
        self._slots[slot].submit(num_positions)

    def is_finished(self, slot: int) -> bool:
        """Return whether `collect` would not have to wait."""
        return self._slots[slot].is_finished()

    def collect(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        return self._slots[slot].collect()

    def load_weights(
        self, arrays: Mapping[str, np.ndarray | Tensor], weights_version: int | None = None
    ) -> None:
        """Use these parameters (names of the network's state_dict) for everything submitted from now on.

        weights_version: of these weights; None adds 1. Raises ValueError for weights of another network.
        """
        for slot in self._slots:
            slot.wait_before_weights_change()
        self.inference.load_weights(arrays)
        for slot in self._slots:
            slot.wait_for_changed_weights()
        self.weights_version = (
            self.weights_version + 1 if weights_version is None else weights_version
        )
