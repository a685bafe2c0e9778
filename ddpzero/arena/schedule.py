"""Which games the arena plays next: a pure function of a run's models and of the blocks that were played.

A model plays all its games before the arena turns to the newest model; models that were overtaken in the meantime play
none. The plan depends on nothing else, so a resumed run continues with the next block.
"""

from __future__ import annotations

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
    """A block of games to play; see match_log.Block for key."""

    key: str
    player_a: str
    player_b: str
    num_games: int
    seed: int

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
    """Yield the blocks of a pairing. seed: of the run. Against one opponent, all models play from the same openings."""
    model, opponent = pairing.model, pairing.opponent
    for number, start in enumerate(range(0, pairing.num_games, BLOCK_GAMES)):
        num_games = min(BLOCK_GAMES, pairing.num_games - start)
        block_seed = derive_seed(seed, "arena", opponent, number)
        yield Task(f"{model} {opponent} {number}", model, opponent, num_games, block_seed)


def pairings_of(
    model: str, earlier: Sequence[str], opponents: Sequence[str], num_games: int
) -> list[Pairing]:
    """Return the games of a model for its rating, in the order in which it should play them.

    It meets the model before it, the fixed opponents, and a model from the middle of the run, so that more than a chain
    connects the pool. earlier: all earlier models, oldest first.
    """
    rivals = [*earlier[-1:], *opponents, *earlier[len(earlier) // 2 :][:1]]
    return [Pairing(model, rival, num_games) for rival in dict.fromkeys(rivals)]
