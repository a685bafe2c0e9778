"""AlphaZero as a player for matches, judges and play: a search without noise with the released network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import nn

from ddpzero.algorithms.alphazero.evaluation import NetworkEvaluation
from ddpzero.algorithms.alphazero.memory import searches_size_bytes
from ddpzero.algorithms.alphazero.thinker import AlphaZeroThinker
from ddpzero.evaluators.answers import EvaluationError
from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.games import Game
from ddpzero.games.core.players import Analysis, Evaluations
from ddpzero.networks.precision import Precision
from ddpzero.search import Search, SearchResult, SearchSettings
from ddpzero.search.thinking import thinking_size_bytes
from ddpzero.system.machine import usable_memory
from ddpzero.system.memory import Factor, largest_fitting, require_memory

# Positions that are searched in lockstep; enough to fill the network's batches.
_MAX_GAMES = 256
# Share of the free memory that the largest search may take; two players can each have searches of several sizes.
_SHARE_OF_MEMORY = 0.2
# The batch to aim for: with few positions, a search evaluates several leaves of each position per round.
_MIN_BATCH = 8


class AlphaZeroPlayer:
    """Chooses the search's move, or with num_simulations=0 the network's best legal move."""

    uses_chance = False

    def __init__(
        self,
        game: Game,
        network: nn.Module,
        settings: SearchSettings,
        name: str,
        device: str,
        precision: Precision,
        simulations_key: str = "search.num_simulations",
    ):
        """Raises UserError if memory is too small for one search.

        simulations_key: the setting or option that gave the number of simulations, for that error.
        """
        self.name = name
        self._game = game
        self._network = network
        self._settings = settings
        self._device = device
        self._precision = precision
        self._searches: dict[int, tuple[Search, NetworkEvaluator]] = {}
        simulations = Factor(simulations_key, settings.num_simulations, 100)
        leaves = Factor("search.leaves_per_round", settings.leaves_per_round, 1)
        size_bytes = searches_size_bytes(game, settings, 1)
        require_memory("for the search of one position", size_bytes, (simulations, leaves))
        self._max_games = largest_fitting(
            lambda num_games: searches_size_bytes(game, settings, num_games),
            _MAX_GAMES,
            _SHARE_OF_MEMORY * usable_memory().free_bytes,
        )

    @property
    def num_simulations(self) -> int:
        """Simulations per move."""
        return self._settings.num_simulations

    def choose(self, positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Choose an action `[n]` for each of `positions` [n, P]; deterministic."""
        return self.search(positions).actions

    def search(self, positions: np.ndarray) -> SearchResult:
        """Search each of `positions` [n, P]."""
        parts = [
            self._search_some(positions[start : start + self._max_games])
            for start in range(0, len(positions), self._max_games)
        ]
        return SearchResult(
            *(
                np.concatenate([getattr(part, field) for part in parts])
                for field in ("actions", "policy_target", "visits", "root_value", "root_draw")
            )
        )

    def analyze(self, positions: np.ndarray, rng: np.random.Generator) -> Analysis:
        """Analyze `positions` [n, P]."""
        result = self.search(positions)
        draw = np.minimum(result.root_draw, 1.0 - np.abs(result.root_value))
        win = (1.0 - draw + result.root_value) / 2.0
        wdl = np.stack([win, draw, 1.0 - draw - win], axis=1)
        return Analysis(result.actions, result.policy_target, result.root_value, wdl)

    def evaluate(self, positions: np.ndarray) -> Evaluations:
        """Return what the network alone says of `positions` [n, P]."""
        return NetworkEvaluation(self._network, self._game, self._device).evaluate(positions)

    def make_thinker(self, max_simulations: int) -> AlphaZeroThinker:
        """Return a thinker with this network. Raises UserError if memory is too small for so many simulations."""
        return AlphaZeroThinker(
            self._game,
            self._network,
            self._settings,
            self.name,
            self._device,
            self._precision,
            max_simulations,
        )

    def thinker_size_bytes(self, max_simulations: int) -> int:
        return thinking_size_bytes(self._game, self._settings, max_simulations)

    def _search_some(self, positions: np.ndarray) -> SearchResult:
        num_slots = 1
        while num_slots < len(positions):
            num_slots *= 2
        if num_slots not in self._searches:
            leaves = max(self._settings.leaves_per_round, min(4, _MIN_BATCH // num_slots))
            settings = replace(self._settings, leaves_per_round=max(1, leaves))
            search = Search(self._game, settings, num_slots)
            evaluator = NetworkEvaluator(
                self._network,
                self._game,
                max_batch=search.max_batch,
                num_slots=1,
                device=self._device,
                precision=self._precision,
                points_scale=settings.points_scale(self._game),
            )
            self._searches[num_slots] = (search, evaluator)
        search, evaluator = self._searches[num_slots]
        try:
            return search.run(positions, evaluator)
        except EvaluationError:
            raise EvaluationError(
                f"the network of {self.name} answered with numbers that are not finite: its weights are unusable."
            ) from None
