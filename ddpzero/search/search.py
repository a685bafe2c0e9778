"""Searches a batch of positions to the end, for matches, judges and players. Self-play has its own loop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ddpzero.evaluators.answers import unusable_answers
from ddpzero.games import Game
from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.promises import NO_FAULT, require_no_fault
from ddpzero.search.batch import SearchBatch
from ddpzero.search.cache import new_cache
from ddpzero.search.draw_share import root_draw_shares
from ddpzero.search.endgame import forget_proofs
from ddpzero.search.forest import ROOT, TERMINAL
from ddpzero.search.rounds import start_searches
from ddpzero.search.settings import SearchSettings
from ddpzero.search.tree import choose_action, policy_target, root_result

if TYPE_CHECKING:
    from ddpzero.evaluators.base import Evaluator


@dataclass(frozen=True)
class SearchResult:
    """Results of the searches of n positions, each from its mover's perspective. Letter: A num_actions."""

    actions: np.ndarray  # [n] int64, the move to play
    policy_target: np.ndarray  # [n, A] float32
    visits: np.ndarray  # [n, A] int32
    root_value: np.ndarray  # [n] float32 in [-1, 1], the expected result
    root_draw: np.ndarray  # [n] float32, the search's probability of a draw, see draw_share.py


class Search:
    """Searches up to num_games positions in lockstep, without noise and with temperature 0."""

    def __init__(
        self,
        game: Game,
        settings: SearchSettings,
        num_games: int,
        seed: int = 0,
        cache_megabytes: float = 0.0,
    ):
        self.game = game
        self.num_games = num_games
        quiet = replace(settings, gumbel_scale=0.0, dirichlet_fraction=0.0, temperature=0.0)
        quiet = replace(quiet, final_temperature=0.0)
        cache = new_cache(game, cache_megabytes)
        max_nodes = settings.num_simulations + 1
        self.batch = SearchBatch(game, quiet, num_games, max_nodes, cache, seed)
        self.forest = self.batch.forest
        self._num_positions = 0
        self._weights_version = 0

    @property
    def max_batch(self) -> int:
        """The largest batch that the evaluator must take."""
        return self.batch.max_leaves

    def run(
        self, positions: np.ndarray, evaluator: Evaluator, weights_version: int = 0
    ) -> SearchResult:
        """Search all of `positions` [n, P], none of them terminal; n <= num_games."""
        self.start(positions, weights_version)
        while self.submit_leaves(evaluator):
            self.absorb_leaves(evaluator)
        return self.result()

    def start(self, positions: np.ndarray, weights_version: int = 0) -> None:
        """Start the searches that `run` runs to the end. ValueError unless `positions` can be searched."""
        self.game.require_positions(positions)
        if len(positions) > self.num_games:
            raise ValueError(f"{len(positions)} positions are too many for {self.num_games} trees.")
        self._num_positions = len(positions)
        self._weights_version = weights_version
        # The results must not depend on earlier searches.
        forget_proofs(self.forest.endgame)
        start_searches(self.game.rules, self.forest, positions)
        states = self.forest.nodes["state"][: len(positions), ROOT]
        if (states == TERMINAL).any():
            raise ValueError(
                f"position {int((states == TERMINAL).argmax())} is terminal: there is nothing to search in it."
            )

    def submit_leaves(self, evaluator: Evaluator, slot: int = 0) -> int:
        """Propose the leaves of a round and submit them; return their number, 0 if all searches are finished."""
        num_leaves = self.batch.propose(
            self._num_positions, self._weights_version, evaluator.observations(slot)
        )
        if num_leaves > 0:
            evaluator.submit(slot, num_leaves)
        return num_leaves

    def absorb_leaves(self, evaluator: Evaluator, slot: int = 0) -> None:
        """Wait for the leaves submitted last and absorb their evaluations. Raises EvaluationError for unusable ones."""
        logits, outcomes = evaluator.collect(slot)
        if not self.batch.absorb(evaluator.observations(slot), logits, outcomes):
            raise unusable_answers(logits, outcomes)

    def result(self) -> SearchResult:
        """Return the results after all searches have finished.

        Raises GamePromiseError if the game broke its contract in one of them.
        """
        num_positions = self._num_positions
        # A fault is harmless until here; reading it in every round would cost 5 % of a fast search.
        require_no_fault(
            self.game, self.forest.trees["fault"][:num_positions].max(initial=NO_FAULT)
        )
        actions = np.empty(num_positions, np.int64)
        targets = np.empty((num_positions, self.game.num_actions), np.float32)
        values = np.empty(num_positions, np.float32)
        read_results(self.game.rules, self.forest, self.batch.config, 0, actions, targets, values)
        if (actions < 0).any():
            raise RuntimeError(f"the search of position {actions.argmin()} found no action.")
        visits = self.forest.edges["visits"][:num_positions, ROOT].copy()
        draw_shares = np.empty(num_positions, np.float32)
        means = np.empty(self.forest.nodes.shape[1], np.float32)
        root_draw_shares(self.forest, self.batch.config, targets, means, draw_shares)
        return SearchResult(actions, targets, visits, values, draw_shares)


@compiled(cache=True)
def read_results(rules, forest, config, ply, actions, targets, values):
    """Write the results of the first n slots: actions [n], policy targets [n, A], root values [n]."""
    for slot in range(actions.shape[0]):
        actions[slot] = choose_action(forest, config, slot, ply)
        policy_target(forest, config, slot, targets[slot])
        values[slot] = root_result(forest, config, slot)
