"""Makes the evaluator of a rank, which evaluates the positions of all its actors in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ddpzero.algorithms.alphazero.curriculum import Curriculum, CurriculumSettings
from ddpzero.algorithms.alphazero.requests import layouts_of
from ddpzero.algorithms.alphazero.settings import LossSettings
from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.evaluators.shared import GatheringEvaluator
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.networks.precision import Precision
from ddpzero.search.settings import SearchSettings


def make_shared_evaluator(
    *,
    game: Mapping[str, Any],
    network: NetworkSettings,
    search: SearchSettings,
    loss: LossSettings,
    curriculum: CurriculumSettings,
    random_symmetry: bool,
    max_batch: int,
    requests_per_batch: int | None,
    device: str,
    precision: Precision,
    compile: bool,
    cuda_graphs: bool,
    num_actors: int,
    max_under_way: int = 2,
) -> GatheringEvaluator:
    """Make it in its process. game: arguments of `load_game`.

    max_batch: positions of a request. requests_per_batch: that are evaluated together at most; None: one of each actor.
    max_under_way: batches at the same time; always 1 on a CPU.
    """
    if device == "cpu":
        max_under_way = 1
    course = Curriculum(curriculum, load_game(**game), search.num_simulations)

    def make(kind: int, arrays: Mapping[str, np.ndarray], most: int) -> NetworkEvaluator:
        board = course.embeddings[kind].board
        return NetworkEvaluator(
            make_network(board, network.size_of(arrays), loss.auxiliary(board)),
            board,
            max_batch=most,
            num_slots=max_under_way,
            device=device,
            precision=precision,
            compile=compile,
            cuda_graphs=cuda_graphs,
            points_scale=search.points_scale(board),
            random_symmetry=random_symmetry,
        )

    return GatheringEvaluator(
        layouts_of(course, max_batch),
        make,
        network.size_of,
        max_requests=requests_per_batch or num_actors,
        max_under_way=max_under_way,
    )
