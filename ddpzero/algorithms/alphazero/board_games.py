"""Self-play on one board with one number of simulations: network, cache and groups of episodes.

An actor has one BoardGames, or with a curriculum one for each part of the current stage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from ddpzero.actors.spec import UnusableWeightsError
from ddpzero.algorithms.alphazero.archive import NO_MOVES, Archive
from ddpzero.algorithms.alphazero.lockstep import LockstepGames
from ddpzero.algorithms.alphazero.samples import padded_episode
from ddpzero.algorithms.alphazero.selfplay import IDLE
from ddpzero.evaluators.answers import EvaluationError
from ddpzero.evaluators.base import WeightedEvaluator
from ddpzero.games.core.embedding import BoardEmbedding
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.networks import NetworkSettings
from ddpzero.replay import Episode
from ddpzero.search.cache import EvaluationCache, empty
from ddpzero.search.endgame import forget_proofs
from ddpzero.system.seeds import derive_seed


class BoardGames:
    """Slots for episodes on one board; the actor decides how many of them are in use."""

    def __init__(
        self,
        groups: list[LockstepGames],
        make_evaluator: Callable[[NetworkSettings], WeightedEvaluator],
        network: NetworkSettings,
        cache: EvaluationCache,
        embedding: BoardEmbedding,
        board: int | None,
        archive: Archive | None,
    ):
        """groups: one for each slot of an evaluator. make_evaluator: makes one for a network of that size, which the
        weights have. board: index in Curriculum.embeddings; None without padding.

        archive: of positions from which episodes restart; None: none does.
        """
        self.groups = groups
        self._make_evaluator = make_evaluator
        self._network = network
        self._evaluator: WeightedEvaluator
        self._size: NetworkSettings | None = None
        self._cache = cache
        self._embedding = embedding
        self._board = board
        self._archive = archive
        self.num_started = 0

    @property
    def num_running(self) -> int:
        return sum(int((group.buffers.statuses != IDLE).sum()) for group in self.groups)

    def receive(self, arrays: Mapping[str, np.ndarray], weights_version: int) -> None:
        """Evaluate positions with these weights from now on."""
        for group in self.groups:
            self.collect(group)
        size = self._network.size_of(arrays)
        if size != self._size:
            self._evaluator, self._size = self._make_evaluator(size), size
        self._evaluator.load_weights(arrays, weights_version)

    def set_num_simulations(self, num_simulations: int) -> None:
        """Set the simulations of the moves whose searches begin from now on."""
        for group in self.groups:
            group.set_num_simulations(num_simulations)

    def start_game(self, begins_at_any_ply: bool = False) -> None:
        """Start an episode in the group with the most idle slots. begins_at_any_ply: see selfplay.start_game."""
        free = [np.flatnonzero(group.buffers.statuses == IDLE) for group in self.groups]
        emptiest = max(range(len(free)), key=lambda index: len(free[index]))
        earlier_moves = NO_MOVES if self._archive is None else self._archive.choose_start()
        slot = int(free[emptiest][0])
        self.groups[emptiest].start_game(slot, earlier_moves, begins_at_any_ply)
        self.num_started += 1

    def drop_games(self, seed: int) -> None:
        """Drop all episodes and archived positions. What follows depends only on the seed and the weights."""
        for group in self.groups:
            self.collect(group)
            group.buffers.statuses[:] = IDLE
            forget_proofs(group.forest.endgame)
        empty(self._cache)
        self.num_started = 0
        if self._archive is not None:
            self._archive.clear(derive_seed(seed, "archive"))
        states = new_random_states(seed, sum(len(g.buffers.statuses) for g in self.groups))
        for group in self.groups:
            num_slots = len(group.buffers.statuses)
            group.forest.random_states[:] = states[:num_slots]
            states = states[num_slots:]

    def take_finished(self, group: LockstepGames) -> list[Episode]:
        """Return the group's finished episodes, their samples padded to the frame. Call `collect` first."""
        episodes = group.take_finished()
        if self._archive is not None:
            for episode in episodes:
                self._archive.add(episode)
        if self._board is None:
            return episodes
        return [padded_episode(episode, self._embedding, self._board) for episode in episodes]

    def collect(self, group: LockstepGames) -> None:
        """Wait for the group's submitted leaves and absorb their evaluations."""
        if group.num_leaves > 0:
            logits, outcomes = self._evaluator.collect(group.slot)
            try:
                group.absorb(self._evaluator.observations(group.slot), logits, outcomes)
            except EvaluationError as error:
                raise UnusableWeightsError(str(error)) from None

    def propose(self, group: LockstepGames) -> int:
        """Continue the group's episodes until they need the network; return the simulations of the moves made."""
        return group.propose(
            self._evaluator.observations(group.slot), self._evaluator.weights_version
        )

    def submit(self, group: LockstepGames) -> None:
        """Start evaluating the leaves of the group."""
        self._evaluator.submit(group.slot, group.num_leaves)

    def take_counts(self) -> Counter[str]:
        """Return what was counted since the last call: look-ups and hits of the cache, and moves of three kinds."""
        look_ups, hits = _taken(self._cache.counts)
        of_moves = np.sum([_taken(group.buffers.counts) for group in self.groups], 0)
        moves, proven_moves, moves_with_policy = of_moves
        return Counter(
            cache_look_ups=look_ups,
            cache_hits=hits,
            moves=moves,
            proven_moves=proven_moves,
            moves_with_policy=moves_with_policy,
        )


def _taken(counts: np.ndarray) -> np.ndarray:
    taken = counts.copy()
    counts[:] = 0
    return taken
