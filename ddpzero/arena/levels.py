"""Levels of strength, 1 to 9: fewer simulations, and moves sampled with a temperature. Level 9 is the full strength.

Used by everything in which agents play against people, and by RUN:level3 as a player's name, so that a match measures
how far two levels are apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core.players import Thoughtful, Thoughts


@dataclass(frozen=True)
class Level:
    """simulations: of a move. temperature: of the choice among moves; 0: the best one."""

    simulations: int
    temperature: float


FULL_LEVEL = 9
# Of players that do not tell how many they make.
USUAL_SIMULATIONS = 800
# Of the levels below it, from 1 on. Each is some 100 Elo above the one before; ddpzero/bench/README.md has the matches.
_LEVELS = (
    Level(0, 5.0),
    Level(0, 3.5),
    Level(0, 2.5),
    Level(0, 1.8),
    Level(0, 1.25),
    Level(1, 1.0),
    Level(4, 0.5),
    Level(32, 0.2),
)


def level_of(number: int) -> Level | None:
    """Return a level from 1 to FULL_LEVEL; None for the full strength. Raises ValueError for other numbers."""
    if not 1 <= number <= FULL_LEVEL:
        raise ValueError(
            f"{number} is not a level: there are 1 (weakest) to {FULL_LEVEL} (full strength)."
        )
    return None if number == FULL_LEVEL else _LEVELS[number - 1]


def sampled_move(thoughts: Thoughts, temperature: float, rng: np.random.Generator) -> int:
    """Return the best action, or with a temperature > 0 one sampled from the shares of simulations.

    The prior counts as one simulation, so that few of them do not decide alone. p(action) is proportional to
    share^(1 / temperature).
    """
    if temperature == 0:
        return thoughts.moves[0].action
    shares = np.array([move.visits + move.prior for move in thoughts.moves])
    logits = np.log(np.maximum(shares / shares.max(), 1e-30)) / temperature
    weights = np.exp(logits)
    chosen = rng.choice(len(weights), p=weights / weights.sum())
    return thoughts.moves[int(chosen)].action


class LeveledPlayer:
    """A Player that plays at a level: each position is searched anew, one after another."""

    def __init__(self, player: Thoughtful, game: Game, level: Level, name: str) -> None:
        self.name = name
        self.uses_chance = level.temperature > 0
        self.num_simulations = level.simulations
        self._game = game
        self._level = level
        self._thinker = player.make_thinker(max(1, level.simulations))

    def choose(self, positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Choose an action `[n]` for each of `positions` `[n, P]`."""
        return np.array([self._choose_one(position, rng) for position in positions])

    def _choose_one(self, position: np.ndarray, rng: np.random.Generator) -> int:
        self._thinker.begin(position)
        self._thinker.think(self._level.simulations)
        return sampled_move(self._thinker.thoughts(), self._level.temperature, rng)
