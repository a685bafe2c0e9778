"""Makes a simulated device for the actors of a rank. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ddpzero.algorithms.alphazero.curriculum import Curriculum, CurriculumSettings
from ddpzero.algorithms.alphazero.requests import layouts_of
from ddpzero.evaluators.simulated import SimulatedEvaluator
from ddpzero.games import load_game
from ddpzero.search.settings import SearchSettings
from ddpzero.settings import SimulatedSettings


def make_simulated_evaluator(
    *,
    game: Mapping[str, Any],
    search: SearchSettings,
    curriculum: CurriculumSettings,
    max_batch: int,
    simulated: SimulatedSettings,
    num_actors: int,
) -> SimulatedEvaluator:
    """Make it in its process. game: arguments of `load_game`. max_batch: positions of a request."""
    course = Curriculum(curriculum, load_game(**game), search.num_simulations)
    return SimulatedEvaluator(
        layouts_of(course, max_batch),
        simulated.batch_latency_ms / 1000,
        simulated.positions_per_second,
        simulated.noise,
        max_requests=num_actors,
    )
