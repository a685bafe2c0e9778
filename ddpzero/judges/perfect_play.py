"""Judges players by positions whose perfect play is known. The positions are those of solved_positions.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ddpzero.games.core.player_errors import PlayerError, checked_actions, errors_of_player
from ddpzero.games.core.players import Player
from ddpzero.judges.solved_positions import ILLEGAL, SolvedPositions


@dataclass(frozen=True)
class JudgeReport:
    """How well one player chose in N solved positions.

    num_simulations: an agent's budget per position; None if the player's name determines it.
    kept, best: `[N]` bool: the chosen action keeps the outcome; it has the highest score of all.
    matters: `[N]` bool: not every legal action keeps the outcome.
    """

    player: str
    num_simulations: int | None
    kept: np.ndarray
    best: np.ndarray
    matters: np.ndarray
    seconds: float

    @property
    def keeps_outcome(self) -> float:
        return float(self.kept.mean())

    @property
    def figures(self) -> dict[str, np.ndarray]:
        """The name of each figure -> bool for each position that counts for it; without figures of no position."""
        hits = {
            "keeps_outcome": self.kept,
            "keeps_outcome_where_it_matters": self.kept[self.matters],
            "plays_best": self.best,
        }
        return {name: each for name, each in hits.items() if len(each)}


def judge(
    solved: SolvedPositions,
    player: Player,
    num_simulations: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    on_batch: Callable[[], None] = lambda: None,
) -> JudgeReport:
    """Ask the player for an action in every position.

    batch_size: positions that it is asked about at once; None: all. on_batch: is called after each batch.
    """
    started = time.perf_counter()
    rng = np.random.default_rng(seed)
    num_positions = len(solved.positions)
    size = batch_size or num_positions
    actions = np.empty(num_positions, dtype=np.int64)
    for first in range(0, num_positions, size):
        batch = slice(first, first + size)
        actions[batch] = _choose(solved, player, batch, rng)
        on_batch()
    seconds = time.perf_counter() - started
    rows = np.arange(num_positions)
    return JudgeReport(
        player=player.name,
        num_simulations=num_simulations,
        kept=solved.keeps[rows, actions],
        best=solved.is_best[rows, actions],
        matters=solved.matters,
        seconds=seconds,
    )


def _choose(
    solved: SolvedPositions, player: Player, batch: slice, rng: np.random.Generator
) -> np.ndarray:
    """Return the player's actions in some positions. Raises PlayerError if they are not legal."""
    positions, scores = solved.positions[batch], solved.scores[batch]
    with errors_of_player(player.name):
        chosen = player.choose(positions, rng)
    actions = checked_actions(player.name, chosen, (len(positions),), scores.shape[1])
    if (scores[np.arange(len(actions)), actions] == ILLEGAL).any():
        raise PlayerError(f"player {player.name} broke the rules: it chose an illegal action.")
    return actions
