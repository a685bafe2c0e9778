"""What the tests of the search share: an evaluator without a network, and the forest played move by move."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ddpzero.games import Game, load_game
from ddpzero.games.core.compiled import compiled
from ddpzero.search import SearchSettings
from ddpzero.search.batch import SearchBatch
from ddpzero.search.cache import EvaluationCache, new_cache
from ddpzero.search.forest import ROOT
from ddpzero.search.rounds import start_searches
from ddpzero.search.search import read_results
from ddpzero.search.tree import play_action, root_score

Evaluation = tuple[Sequence[float], Sequence[float]]


def random_tree_game() -> Game:
    return load_game("random_tree", source=str(Path(__file__).parent / "games" / "random_tree.py"))


@functools.cache
def evaluate_by_hash(observation: bytes) -> Evaluation:
    """Random logits in -3..3 of ten actions, random chances whose sums float32 holds without rounding."""
    digest = hashlib.blake2b(observation, digest_size=42).digest()
    words = np.frombuffer(digest, np.uint32, count=10)
    logits = (6.0 * (words / 2**32) - 3.0).astype(np.float32)
    win = digest[40] / 256
    loss = (1.0 - win) * digest[41] / 256
    return logits.tolist(), (win, 1.0 - win - loss, loss)


@functools.cache
def evaluate_with_points(observation: bytes) -> Evaluation:
    """The same for twelve actions, and points from -1 to 1 behind the chances."""
    digest = hashlib.blake2b(observation, digest_size=52).digest()
    logits = (6.0 * (np.frombuffer(digest, np.uint32, count=12) / 2**32) - 3.0).astype(np.float32)
    win, draw, loss = evaluate_by_hash(observation)[1]
    return logits.tolist(), (win, draw, loss, digest[50] / 128 - 1.0)


class FunctionEvaluator:
    """An evaluator (see ddpzero/evaluators) that asks a function for each position."""

    def __init__(
        self, game: Game, max_batch: int, evaluate: Callable[[bytes], Evaluation] = evaluate_by_hash
    ):
        self.evaluate = evaluate
        self.rows = np.zeros((max_batch, game.observation_size_bytes), np.uint8)
        self.logits = np.zeros((max_batch, game.num_actions), np.float32)
        self.outcomes = np.zeros((max_batch, 4), np.float32)
        self.batch_sizes: list[int] = []

    def observations(self, slot: int) -> np.ndarray:
        return self.rows

    def submit(self, slot: int, num_positions: int) -> None:
        for row in range(num_positions):
            self.logits[row], outcome = self.evaluate(self.rows[row].tobytes())
            self.outcomes[row, : len(outcome)] = outcome
        self.batch_sizes.append(num_positions)

    def collect(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        num_positions = self.batch_sizes[-1]
        return self.logits[:num_positions], self.outcomes[:num_positions]


class Lockstep:
    """A forest that searches a move in every game, then plays it, as self-play does; noise and all."""

    def __init__(
        self,
        game: Game,
        settings: SearchSettings,
        positions: np.ndarray,
        evaluate: Callable[[bytes], Evaluation] = evaluate_by_hash,
        seed: int = 0,
        cache_megabytes: float = 0.0,
        cache: EvaluationCache | None = None,
    ):
        self.game = game
        num_games = len(positions)
        max_nodes = settings.num_simulations * (2 if settings.reuse_subtree else 1) + 2
        self.cache = cache or new_cache(game, cache_megabytes)
        self.batch = SearchBatch(game, settings, num_games, max_nodes, self.cache, seed)
        self.forest, self.config = self.batch.forest, self.batch.config
        self.evaluator = FunctionEvaluator(game, len(self.forest.leaves), evaluate)
        self.weights_version = 0
        self.actions = np.zeros(num_games, np.int64)  # [n] the moves to play
        self.targets = np.zeros((num_games, game.num_actions), np.float32)
        self.values = np.zeros(num_games, np.float32)
        self.scores = np.zeros(num_games, np.float32)
        start_searches(game.rules, self.forest, positions)

    @property
    def visits(self) -> np.ndarray:
        """`[n, A]` of the roots."""
        return self.forest.edges["visits"][:, ROOT]

    @property
    def priors(self) -> np.ndarray:
        """`[n, A]` of the roots, with noise once the search has begun."""
        return self.forest.edges["prior"][:, ROOT]

    def propose(self) -> int:
        return self.batch.propose(len(self.actions), self.weights_version, self.evaluator.rows)

    def absorb(self, num_leaves: int) -> None:
        self.evaluator.submit(0, num_leaves)
        assert self.batch.absorb(self.evaluator.rows, *self.evaluator.collect(0))

    def search(self, ply: int = 0) -> None:
        """Search to the end of the budget; then actions, targets and values hold what came out."""
        while num_leaves := self.propose():
            self.absorb(num_leaves)
        read_results(
            self.game.rules,
            self.forest,
            self.config,
            ply,
            self.actions,
            self.targets,
            self.values,
        )
        read_scores(self.game.rules, self.forest, self.config, self.scores)

    def play(self, actions: np.ndarray) -> None:
        """Make a move `[n]` in every game; in those with -1 nothing happens."""
        play_actions(self.game.rules, self.forest, self.config, actions)


@compiled(cache=True)
def read_scores(rules, forest, config, scores):
    for slot in range(scores.shape[0]):
        scores[slot] = root_score(forest, config, slot)


@compiled(cache=True)
def play_actions(rules, forest, config, actions):
    for slot in range(actions.shape[0]):
        if actions[slot] >= 0:
            play_action(rules, forest, config, slot, actions[slot])
