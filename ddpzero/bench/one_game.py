"""How fast one position is searched, as in play: beside the searches of many games in lockstep, for `bench search`."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from torch import nn

from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.games import Game
from ddpzero.networks.precision import Precision
from ddpzero.search import SearchSettings
from ddpzero.search.thinking import MOST_LEAVES, Thinking

_NUM_POSITIONS = 5000


@dataclass(frozen=True)
class OneGameSample:
    """cpu_seconds: of this thread, for num_simulations. first_seconds: until there was a first thing to show."""

    num_simulations: int
    cpu_seconds: float
    first_seconds: float


class OneGame:
    """Moves of a single game, one after another, each from a position that was not seen before."""

    def __init__(
        self,
        game: Game,
        settings: SearchSettings,
        network: nn.Module,
        device: str,
        precision: Precision,
        seed: int,
    ) -> None:
        self._num_simulations = settings.num_simulations
        evaluator = NetworkEvaluator(
            network,
            game,
            max_batch=MOST_LEAVES,
            device=device,
            precision=precision,
            points_scale=settings.points_scale(game),
        )
        self._thinking = Thinking(game, settings, settings.num_simulations, evaluator)
        self._positions = game.random_positions(_NUM_POSITIONS, np.random.default_rng(seed + 1))
        self._next = 0

    def sample(self, seconds: float) -> OneGameSample:
        """Make moves for some seconds, at least one."""
        thinking, num_simulations = self._thinking, 0
        first_seconds: list[float] = []
        until, cpu_started = time.perf_counter() + seconds, time.thread_time()
        while not first_seconds or time.perf_counter() < until:
            started = time.perf_counter()
            thinking.begin(self._positions[self._next % _NUM_POSITIONS])
            self._next += 1
            thinking.think(0)
            thinking.thoughts()
            first_seconds.append(time.perf_counter() - started)
            thinking.think(self._num_simulations)
            thinking.thoughts()
            num_simulations += thinking.visits
        return OneGameSample(
            num_simulations, time.thread_time() - cpu_started, float(np.median(first_seconds))
        )
