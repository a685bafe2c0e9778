"""A group of episodes that are played in lockstep: the Python side of selfplay.py. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ddpzero.algorithms.alphazero.archive import NO_MOVES
from ddpzero.algorithms.alphazero.curriculum import Curriculum, CurriculumSettings
from ddpzero.algorithms.alphazero.samples import episode_of
from ddpzero.algorithms.alphazero.selfplay import (
    FINISHED,
    IDLE,
    new_episode_buffers,
    propose_moves_and_leaves,
    start_game,
)
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.evaluators.answers import DRAW, OUTCOME_SIZE, unusable_answers
from ddpzero.evaluators.cpu_kernels import compile_cpu_kernels
from ddpzero.games import Game, load_game
from ddpzero.games.core.promises import (
    broken_promise,
    no_exceptions,
    require_no_fault,
    require_result,
)
from ddpzero.replay import Episode
from ddpzero.search.batch import SearchBatch
from ddpzero.search.cache import EvaluationCache, new_cache
from ddpzero.search.settings import SearchSettings


class LockstepGames:
    """Episodes that share a slot of the evaluator. While one group waits for the network, another one can play."""

    def __init__(
        self,
        game: Game,
        search: SearchSettings,
        settings: AlphaZeroSettings,
        auxiliary: Collection[str],
        cache: EvaluationCache,
        slot: int,
        num_games: int,
    ):
        self.game = game
        self.settings = settings
        self.auxiliary = auxiliary
        self.slot = slot
        self.batch = SearchBatch(game, search, num_games, tree_size(search), cache)
        self.forest = self.batch.forest
        self.buffers = new_episode_buffers(game, num_games)
        self.set_num_simulations(search.num_simulations)

    @property
    def num_leaves(self) -> int:
        """The number of leaves that are proposed and not yet absorbed."""
        return self.batch.num_leaves

    def set_num_simulations(self, num_simulations: int) -> None:
        """Set the simulations of full searches that begin from now on; see SearchBatch."""
        self.batch.set_num_simulations(num_simulations, self.settings.fast_simulations)

    def propose(self, observations: np.ndarray, weights_version: int) -> int:
        """Continue all episodes until they need the evaluator; return the simulations of the moves made.

        Raises GamePromiseError if the game breaks its contract.
        """
        with no_exceptions(self.game):
            num_simulations = self.batch.propose_with(
                propose_moves_and_leaves,
                weights_version,
                self.buffers,
                self.settings.random_action_fraction,
                self.settings.full_search_fraction,
                observations,
            )
        require_no_fault(self.game, self.forest.trees["fault"].max())
        return int(num_simulations)

    def absorb(self, observations: np.ndarray, logits: np.ndarray, outcomes: np.ndarray) -> None:
        """Absorb the evaluations of the leaves proposed last. Raises EvaluationError if they are unusable."""
        with no_exceptions(self.game):
            is_usable = self.batch.absorb(observations, logits, outcomes)
        if not is_usable:
            network = f"the network of weights_version {self.batch.weights_version}"
            raise unusable_answers(logits, outcomes, network)

    def start_game(
        self, slot: int, earlier_moves: np.ndarray = NO_MOVES, begins_at_any_ply: bool = False
    ) -> None:
        """Start an episode; arguments as in selfplay.start_game."""
        with no_exceptions(self.game):
            start_game(
                self.game.rules,
                self.forest,
                self.buffers,
                slot,
                earlier_moves,
                self.settings.opening_random_plies,
                begins_at_any_ply,
                self.settings.play_out_fraction,
                self.settings.full_search_fraction,
            )

    def take_finished(self) -> list[Episode]:
        """Return the finished episodes in the order of their slots, which become idle.

        Raises GamePromiseError for a result that the game's contract does not allow.
        """
        slots = np.flatnonzero(self.buffers.statuses == FINISHED)
        for slot in slots:
            self._check_result(int(slot))
        self.buffers.statuses[slots] = IDLE
        searches_score = "score" in self.auxiliary and self.batch.config.score_weight > 0
        return [
            episode_of(self.buffers, int(slot), self.auxiliary, searches_score, self.settings)
            for slot in slots
        ]

    def _check_result(self, slot: int) -> None:
        require_result(self.game, self.buffers.returns[slot])
        score, most = int(self.buffers.scores[slot]), self.game.spec.max_score
        if self.game.has_score and self.buffers.is_played_out[slot] and abs(score) > most:
            raise broken_promise(
                self.game, f"a game ends with the score {score}, above max_score={most}."
            )


def tree_size(search: SearchSettings) -> int:
    """Return the maximum number of nodes of a tree in self-play."""
    return search.num_simulations * (2 if search.reuse_subtree else 1) + 2


def compile_self_play(
    *,
    game: Mapping[str, Any],
    search: SearchSettings,
    settings: AlphaZeroSettings,
    curriculum: CurriculumSettings,
    **_: Any,
) -> None:
    """Compile the kernels that an actor runs, unless numba's cache has them. Takes the arguments of make_actor."""
    course = Curriculum(curriculum, load_game(**game), search.num_simulations)
    compile_cpu_kernels(course.frame)
    for board in (embedding.board for embedding in course.embeddings):
        cache = new_cache(board, 0.1)
        games = LockstepGames(board, search, settings, (), cache, slot=0, num_games=1)
        games.start_game(0)
        observations = np.zeros((len(games.forest.leaves), board.observation_size_bytes), np.uint8)
        games.propose(observations, weights_version=0)
        logits = np.zeros((games.num_leaves, board.num_actions), np.float32)
        outcomes = np.zeros((games.num_leaves, OUTCOME_SIZE), np.float32)
        outcomes[:, DRAW] = 1.0
        games.absorb(observations, logits, outcomes)
