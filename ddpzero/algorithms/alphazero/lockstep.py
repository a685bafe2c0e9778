"""A group of games that play themselves in lockstep, as Python objects around selfplay.py. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ddpzero.algorithms.alphazero.curriculum import Curriculum, CurriculumSettings
from ddpzero.algorithms.alphazero.samples import episode_of
from ddpzero.algorithms.alphazero.selfplay import (
    FINISHED,
    IDLE,
    new_record,
    propose_moves_and_leaves,
    start_game,
)
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.games import Game, load_game
from ddpzero.games.core.promises import (
    broken_promise,
    no_exceptions,
    require_no_fault,
    require_result,
)
from ddpzero.replay import Episode
from ddpzero.search.answers import unusable_answers
from ddpzero.search.cache import EvaluationCache, new_cache
from ddpzero.search.config import search_config
from ddpzero.search.forest import new_forest
from ddpzero.search.rounds import absorb_evaluations
from ddpzero.search.settings import SearchSettings


class LockstepGames:
    """A group of games that share an evaluator's slot; while one group waits for the network another can move."""

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
        self.forest = new_forest(
            game,
            num_games,
            tree_size(search),
            search.leaves_per_round,
            search.endgame_plies,
            seed=0,
        )
        self.config = search_config(search, game)
        self.cache = cache
        self.record = new_record(game, num_games)
        self.num_leaves = 0  # under evaluation
        self.weights_version = 0

    def propose(self, observations: np.ndarray, weights_version: int) -> int:
        """Play on until the evaluator is needed everywhere; returns the simulations of the moves made.

        Raises GamePromiseError if the game has broken its contract.
        """
        self.weights_version = weights_version
        with no_exceptions(self.game):
            self.num_leaves, num_simulations = propose_moves_and_leaves(
                self.game.rules,
                self.forest,
                self.config,
                self.cache,
                self.record,
                weights_version,
                self.settings.random_action_fraction,
                observations,
            )
        require_no_fault(self.game, self.forest.trees["fault"].max())
        return int(num_simulations)

    def absorb(self, observations: np.ndarray, logits: np.ndarray, outcomes: np.ndarray) -> None:
        """Take in the evaluation of the leaves proposed last. Raises EvaluationError for unusable answers."""
        with no_exceptions(self.game):
            is_usable = absorb_evaluations(
                self.game.rules,
                self.forest,
                self.config,
                self.cache,
                self.weights_version,
                self.num_leaves,
                observations,
                logits,
                outcomes,
            )
        if not is_usable:
            network = f"the network of weights_version {self.weights_version}"
            raise unusable_answers(logits, outcomes, network)
        self.num_leaves = 0

    def start_game(self, place: int) -> None:
        with no_exceptions(self.game):
            start_game(
                self.game.rules,
                self.forest,
                self.record,
                place,
                self.settings.opening_random_plies,
                self.settings.play_out_fraction,
            )

    def take_finished(self) -> list[Episode]:
        """The games that ended, in the order of their places, which are idle from now on.

        Raises GamePromiseError for a result that the game's contract rules out.
        """
        places = np.flatnonzero(self.record.stages == FINISHED)
        for place in places:
            self._check_result(int(place))
        self.record.stages[places] = IDLE
        searches_score = "score" in self.auxiliary and self.config.score_weight > 0
        return [
            episode_of(self.record, int(place), self.auxiliary, searches_score) for place in places
        ]

    def _check_result(self, place: int) -> None:
        require_result(self.game, self.record.returns[place])
        score, most = int(self.record.scores[place]), self.game.spec.max_score
        if self.game.has_score and self.record.is_played_out[place] and abs(score) > most:
            raise broken_promise(
                self.game, f"a game ends with the score {score}, above max_score={most}."
            )


def tree_size(search: SearchSettings) -> int:
    """Nodes that a tree of self-play must have room for."""
    return search.num_simulations * (2 if search.reuse_subtree else 1) + 2


def compile_self_play(
    *,
    game: Mapping[str, Any],
    search: SearchSettings,
    settings: AlphaZeroSettings,
    curriculum: CurriculumSettings,
    **_: Any,
) -> None:
    """Compile what an actor runs, unless it lies in numba's cache; the arguments of `actor.make_actor`."""
    course = Curriculum(curriculum, load_game(**game), search.num_simulations)
    for board in (embedding.board for embedding in course.embeddings):
        cache = new_cache(board, 0.1)
        games = LockstepGames(board, search, settings, (), cache, slot=0, num_games=1)
        games.start_game(0)
        observations = np.zeros((len(games.forest.leaves), board.observation_size_bytes), np.uint8)
        games.propose(observations, weights_version=0)
        logits = np.zeros((games.num_leaves, board.num_actions), np.float32)
        outcomes = np.zeros((games.num_leaves, 4), np.float32)
        outcomes[:, 1] = 1.0
        games.absorb(observations, logits, outcomes)
