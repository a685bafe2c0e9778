"""Searches a batch of positions to the end: for matches, judges and players. Self-play has its own loop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ddpzero.games import Game
from ddpzero.games.compiled import compiled
from ddpzero.search.cache import new_cache
from ddpzero.search.forest import ROOT, new_forest
from ddpzero.search.numbers import search_numbers
from ddpzero.search.rounds import absorb_evaluations, propose_leaves, start_searches
from ddpzero.search.settings import SearchSettings
from ddpzero.search.tree import choose_action, policy_target, root_value

if TYPE_CHECKING:
    from ddpzero.evaluators import Evaluator


@dataclass(frozen=True)
class SearchResult:
    """What the searches of n positions found, each from its mover's side. A num_actions."""

    actions: np.ndarray  # [n] int64, the move to play
    policy_target: np.ndarray  # [n, A] float32
    visits: np.ndarray  # [n, A] int32
    root_value: np.ndarray  # [n] float32 in [-1, 1]
    root_draw: np.ndarray  # [n] float32, the evaluator's probability of a draw


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
        self.numbers = search_numbers(replace(quiet, final_temperature=0.0), game.num_actions)
        max_nodes = settings.num_simulations + 1
        self.forest = new_forest(game, num_games, max_nodes, settings.leaves_per_round, seed)
        self.cache = new_cache(game, cache_megabytes)

    @property
    def max_batch(self) -> int:
        """Leaves that one round may propose: the evaluator must take as many."""
        return len(self.forest.leaves)

    def run(
        self, positions: np.ndarray, evaluator: Evaluator, weights_version: int = 0
    ) -> SearchResult:
        """Search all of `positions` [n, P], none of them terminal; n <= num_games."""
        num_positions = len(positions)
        assert num_positions <= self.num_games, (num_positions, self.num_games)
        rules, forest, numbers, cache = self.game.rules, self.forest, self.numbers, self.cache
        start_searches(rules, forest, positions)
        observations = evaluator.observations(0)
        while True:
            num_leaves = propose_leaves(
                rules, forest, numbers, cache, weights_version, num_positions, observations
            )
            if num_leaves == 0:
                break
            evaluator.submit(0, num_leaves)
            logits, outcomes = evaluator.collect(0)
            absorb_evaluations(
                rules,
                forest,
                numbers,
                cache,
                weights_version,
                num_leaves,
                observations,
                logits,
                outcomes,
            )
        actions = np.empty(num_positions, np.int64)
        targets = np.empty((num_positions, self.game.num_actions), np.float32)
        values = np.empty(num_positions, np.float32)
        _read_results(rules, forest, numbers, actions, targets, values)
        visits = forest.edges["visits"][:num_positions, ROOT].copy()
        draws = forest.nodes["draw_share"][:num_positions, ROOT].copy()
        return SearchResult(actions, targets, visits, values, draws)


@compiled(cache=True)
def _read_results(rules, forest, numbers, actions, targets, values):
    for game in range(actions.shape[0]):
        actions[game] = choose_action(forest, numbers, game, 0)
        policy_target(forest, numbers, game, targets[game])
        values[game] = root_value(forest, game)
