"""Players that need no training: opponents for matches and judges. See games/core/players.py for the contract."""

from __future__ import annotations

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core.players import Analysis
from ddpzero.search.rollouts import RolloutResult, rollouts_size_bytes, search_by_rollouts
from ddpzero.system.cores import cores_of_affinity
from ddpzero.system.machine import usable_memory
from ddpzero.system.memory import Factor, require_memory


class RandomPlayer:
    """Plays each legal action with the same probability."""

    name = "random"
    uses_chance = True

    def __init__(self, game: Game):
        self._game = game

    def choose(self, positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.array(
            [rng.choice(self._game.possible_actions(row)) for row in positions],
            dtype=np.int32,
        )


class RolloutPlayer:
    """Plays the most visited action of a plain rollout search (search/rollouts.py)."""

    uses_chance = True

    def __init__(self, game: Game, num_simulations: int, num_threads: int | None = None):
        """num_threads: None for one per core that this process may use; the moves do not depend on it.

        UserError if memory is too small for a tree of num_simulations simulations.
        """
        self.name = f"rollout:{num_simulations}"
        self._game = game
        self._num_simulations = num_simulations
        size_bytes = rollouts_size_bytes(game, num_simulations)
        factor = Factor("rollout:", num_simulations, 1000)
        require_memory("for the search of one position", size_bytes, [factor])
        # Two players may search in the same process.
        num_fitting = int(usable_memory().free_bytes / 2 / size_bytes)
        num_threads = num_threads or cores_of_affinity()
        self._num_threads = max(1, min(num_threads, num_fitting))

    def choose(self, positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self._search(positions, rng).actions

    def analyze(self, positions: np.ndarray, rng: np.random.Generator) -> Analysis:
        result = self._search(positions, rng)
        wdl = (result.wdl_counts / self._num_simulations).astype(np.float32)
        return Analysis(
            actions=result.actions,
            policy=(result.visits / self._num_simulations).astype(np.float32),
            value=wdl[:, 0] - wdl[:, 2],
            wdl=wdl,
        )

    def _search(self, positions: np.ndarray, rng: np.random.Generator) -> RolloutResult:
        seed = int(rng.integers(2**63))
        return search_by_rollouts(
            self._game, positions, self._num_simulations, seed, self._num_threads
        )
