"""Which games the arena plays next: a pure function of a run's models and of the blocks that were played.

A model plays all its games before the arena turns to the newest model; models that were overtaken in the meantime play
none. The plan depends on nothing else, so a resumed run continues with the next block.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ddpzero.system.seeds import derive_seed

# Enough games to fill a batch; a block takes seconds in most games, so that a kill loses little.
BLOCK_GAMES = 40


@dataclass(frozen=True)
class Pairing:
    """num_games games that a model is to play against an opponent, an earlier model or a fixed player."""

    model: str
    opponent: str
    num_games: int


@dataclass(frozen=True)
class Task:
    """A block of games to play: block `number` of a match of match_games games.

    key: see match_log.Block. seed: of the match: its openings are drawn together, so that they differ between blocks as
    they do within one.
    """

    key: str
    player_a: str
    player_b: str
    match_games: int
    number: int
    seed: int

    @property
    def num_games(self) -> int:
        """The games of this block."""
        return min(BLOCK_GAMES, self.match_games - BLOCK_GAMES * self.number)

    @property
    def players(self) -> tuple[str, ...]:
        return self.player_a, self.player_b


@dataclass(frozen=True)
class JudgeTask:
    """A model to be judged on the solved positions in `file`, once with each number of simulations.

    max_positions: see SolvedPositions.thinned.
    """

    model: str
    file: str
    num_simulations: tuple[int, ...]
    max_positions: int

    @property
    def key(self) -> str:
        return f"judge {self.model}"

    @property
    def players(self) -> tuple[str, ...]:
        return (self.model,)


def next_task(pairings: Sequence[Pairing], seed: int, taken: Collection[str]) -> Task | None:
    """Return the first block of the pairings that is not taken. taken: keys of blocks that are played or in play."""
    for pairing in pairings:
        for task in tasks(pairing, seed):
            if task.key not in taken:
                return task
    return None


def tasks(pairing: Pairing, seed: int) -> Iterator[Task]:
    """Yield the blocks of a pairing. seed: of the run. Against one opponent, all models play from the same openings.

    The number of games is part of the keys, because it decides about the openings: a run may change it.
    """
    model, opponent, num_games = pairing.model, pairing.opponent, pairing.num_games
    pairing_seed = derive_seed(seed, "arena", opponent, num_games)
    for number in range(math.ceil(num_games / BLOCK_GAMES)):
        key = f"{model} {opponent} {num_games} games {number}"
        yield Task(key, model, opponent, num_games, number, pairing_seed)


def pairings_of(
    model: str, earlier: Sequence[str], opponents: Sequence[str], num_games: int
) -> list[Pairing]:
    """Return the games of a model for its rating, in the order in which it should play them.

    It meets the model before it, the fixed opponents, and a model from the middle of the run, so that more than a chain
    connects the pool. earlier: all earlier models, oldest first.
    """
    rivals = [*earlier[-1:], *opponents, *earlier[len(earlier) // 2 :][:1]]
    return [Pairing(model, rival, num_games) for rival in dict.fromkeys(rivals)]
