"""The searches of one batch: their trees, and the two calls of a round.

The only owner of what compiled calls on a forest need. Called by Search, by self-play and by the benchmark.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ddpzero.games import Game
from ddpzero.search.cache import EvaluationCache
from ddpzero.search.config import search_config
from ddpzero.search.forest import FAST, FULL, new_forest
from ddpzero.search.rounds import absorb_evaluations, propose_leaves
from ddpzero.search.settings import SearchSettings

Kernel = Callable[..., tuple[int, int]]


class SearchBatch:
    """Trees that propose leaves together and absorb their evaluations together.

    A round is one `propose`, the evaluation of its leaves, and one `absorb`.
    """

    def __init__(
        self,
        game: Game,
        settings: SearchSettings,
        num_slots: int,
        max_nodes: int,
        cache: EvaluationCache,
        seed: int = 0,
    ):
        """max_nodes: of one tree."""
        self.game = game
        self.forest = new_forest(game, settings, num_slots, max_nodes, seed)
        self.config = search_config(settings, game)
        self.cache = cache
        self.set_num_simulations(settings.num_simulations)
        self.num_leaves = 0  # proposed last and not absorbed yet
        self.weights_version = 0  # of the evaluations, for the cache
        self._arguments = (game.rules, self.forest, self.config, cache)

    def set_num_simulations(self, num_simulations: int, fast_simulations: int = 0) -> None:
        """Set the budgets of the searches that begin from now on: at most that of the settings, the trees' size.

        fast_simulations: of searches that self-play makes FAST; never more than num_simulations.
        """
        if num_simulations > self.config.num_simulations:
            raise ValueError(
                f"{num_simulations} simulations are above {self.config.num_simulations}, for which the trees were made."
            )
        self.forest.budgets[FULL] = num_simulations
        self.forest.budgets[FAST] = min(fast_simulations, num_simulations)

    @property
    def max_leaves(self) -> int:
        """The most leaves that one round can propose."""
        return len(self.forest.leaves)

    def propose(self, num_slots: int, weights_version: int, observations: np.ndarray) -> int:
        """Propose leaves of the first num_slots trees; return their number, 0 if all searches are finished.

        observations: `[max_leaves, bytes]`; the leaves' observations are written to its first rows.
        """
        self.weights_version = weights_version
        self.num_leaves = propose_leaves(*self._arguments, weights_version, num_slots, observations)
        return self.num_leaves

    def propose_with(self, kernel: Kernel, weights_version: int, *arguments: Any) -> int:
        """Let another kernel propose leaves; return the second number that it returns.

        kernel: called with (rules, forest, config, cache, weights_version, *arguments); returns the number of leaves,
        and one of its own.
        """
        self.weights_version = weights_version
        self.num_leaves, own_number = kernel(*self._arguments, weights_version, *arguments)
        return own_number

    def absorb(self, observations: np.ndarray, logits: np.ndarray, outcomes: np.ndarray) -> bool:
        """Absorb the evaluations of the leaves proposed last: logits `[n, A]`, outcomes `[n, 4]`.

        Returns False and changes nothing if they are unusable; the caller raises `unusable_answers`.
        """
        is_usable = absorb_evaluations(
            *self._arguments, self.weights_version, self.num_leaves, observations, logits, outcomes
        )
        if is_usable:
            self.num_leaves = 0
        return is_usable
