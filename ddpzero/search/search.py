"""Searches a batch of positions to the end: for matches, judges and players. Self-play has its own loop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ddpzero.evaluators.answers import unusable_answers
from ddpzero.games import Game
from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.promises import NO_FAULT, require_no_fault
from ddpzero.search.cache import new_cache
from ddpzero.search.config import search_config
from ddpzero.search.draw_share import root_draw_shares
from ddpzero.search.forest import ROOT, TERMINAL, new_forest
from ddpzero.search.rounds import absorb_evaluations, propose_leaves, start_searches
from ddpzero.search.settings import SearchSettings
from ddpzero.search.tree import choose_action, policy_target, root_result

if TYPE_CHECKING:
    from ddpzero.evaluators.base import Evaluator


@dataclass(frozen=True)
class SearchResult:
    """What the searches of n positions found, each from its mover's side. A num_actions."""

    actions: np.ndarray  # [n] int64, the move to play
    policy_target: np.ndarray  # [n, A] float32
    visits: np.ndarray  # [n, A] int32
    root_value: np.ndarray  # [n] float32 in [-1, 1], the expected result
    root_draw: np.ndarray  # [n] float32, the probability of a draw: the search's, see draw_share.py


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
        self.config = search_config(replace(quiet, final_temperature=0.0), game)
        max_nodes = settings.num_simulations + 1
        self.forest = new_forest(
            game, num_games, max_nodes, settings.leaves_per_round, settings.endgame_plies, seed
        )
        self.cache = new_cache(game, cache_megabytes)
        self._num_positions = 0
        self._num_leaves = 0
        self._weights_version = 0

    @property
    def max_batch(self) -> int:
        """Leaves that one round may propose: the evaluator must take as many."""
        return len(self.forest.leaves)

    def run(
        self, positions: np.ndarray, evaluator: Evaluator, weights_version: int = 0
    ) -> SearchResult:
        """Search all of `positions` [n, P], none of them terminal; n <= num_games."""
        self.start(positions, weights_version)
        while self.submit_leaves(evaluator):
            self.absorb_leaves(evaluator)
        return self.result()

    def start(self, positions: np.ndarray, weights_version: int = 0) -> None:
        """Begin what `run` does in one go. ValueError for what are no positions of the game to be searched."""
        self.game.require_positions(positions)
        if len(positions) > self.num_games:
            raise ValueError(f"{len(positions)} positions are too many for {self.num_games} trees.")
        self._num_positions = len(positions)
        self._weights_version = weights_version
        start_searches(self.game.rules, self.forest, positions)
        states = self.forest.nodes["state"][: len(positions), ROOT]
        if (states == TERMINAL).any():
            raise ValueError(
                f"position {int((states == TERMINAL).argmax())} is terminal: there is nothing to search in it."
            )

    def submit_leaves(self, evaluator: Evaluator, slot: int = 0) -> int:
        """Find the leaves of a round and submit them; returns how many, 0 when all searches are finished."""
        num_leaves = propose_leaves(
            self.game.rules,
            self.forest,
            self.config,
            self.cache,
            self._weights_version,
            self._num_positions,
            evaluator.observations(slot),
        )
        self.submit(evaluator, num_leaves, slot)
        return num_leaves

    def submit(self, evaluator: Evaluator, num_leaves: int, slot: int = 0) -> None:
        """Submit leaves that the caller has proposed in this forest."""
        self._num_leaves = num_leaves
        if num_leaves > 0:
            evaluator.submit(slot, num_leaves)

    def absorb_leaves(self, evaluator: Evaluator, slot: int = 0) -> None:
        """Wait for what was submitted last, and take it in. Raises EvaluationError for unusable answers."""
        logits, outcomes = evaluator.collect(slot)
        is_usable = absorb_evaluations(
            self.game.rules,
            self.forest,
            self.config,
            self.cache,
            self._weights_version,
            self._num_leaves,
            evaluator.observations(slot),
            logits,
            outcomes,
        )
        if not is_usable:
            raise unusable_answers(logits, outcomes)

    def result(self) -> SearchResult:
        """What was found, once all searches are finished.

        Raises GamePromiseError if the game has broken its contract in one of them.
        """
        num_positions = self._num_positions
        # Until now a fault has done no harm; asking in every round costs a twentieth of a fast search.
        require_no_fault(
            self.game, self.forest.trees["fault"][:num_positions].max(initial=NO_FAULT)
        )
        actions = np.empty(num_positions, np.int64)
        targets = np.empty((num_positions, self.game.num_actions), np.float32)
        values = np.empty(num_positions, np.float32)
        read_results(self.game.rules, self.forest, self.config, 0, actions, targets, values)
        if (actions < 0).any():
            raise RuntimeError(f"the search of position {actions.argmin()} found no action.")
        visits = self.forest.edges["visits"][:num_positions, ROOT].copy()
        draw_shares = np.empty(num_positions, np.float32)
        means = np.empty(self.forest.nodes.shape[1], np.float32)
        root_draw_shares(self.forest, self.config, targets, means, draw_shares)
        return SearchResult(actions, targets, visits, values, draw_shares)


@compiled(cache=True)
def read_results(rules, forest, config, ply, actions, targets, values):
    """Write what the searches of the first n games found: actions [n], policy targets [n, A], root values [n]."""
    for slot in range(actions.shape[0]):
        actions[slot] = choose_action(forest, config, slot, ply)
        policy_target(forest, config, slot, targets[slot])
        values[slot] = root_result(forest, config, slot)
