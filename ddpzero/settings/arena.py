"""The settings of matches, judgements and releases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ddpzero.settings.limits import MAX_THREADS
from ddpzero.system.errors import require, require_at_least, require_at_most


@dataclass(frozen=True)
class ArenaSettings:
    """Matches during the training, played by processes of rank 0's node.

    num_workers: number of processes; 0 for no matches. They evaluate on the device of the actors.
    opponents: players that never change; the first one has rating 0. A run or a checkpoint is copied when it is first
    named (arena/opponents.py). None: rollout:100 and rollout:1000, or the rule agents of a team game.
    games: of a model against each of its opponents, half of them with either side.
    num_simulations: per move of a model; None: as in its config. share: the largest share of the node's CPU time.
    max_models: models kept on disk for later matches.
    """

    num_workers: int = 1
    opponents: tuple[str, ...] | None = None
    games: int = 40
    num_simulations: int | None = None
    share: float = 0.05
    max_models: int = 32

    def __post_init__(self) -> None:
        require_at_least("arena", self, {"num_workers": 0, "max_models": 4})
        require_at_most("arena", self, {"num_workers": MAX_THREADS, "max_models": 100_000})
        _require_pairs("arena.games", self.games)
        require(
            self.num_simulations is None or self.num_simulations >= 0,
            f"arena.num_simulations={self.num_simulations} must be 0 (the network alone) or more, or null for as many "
            "as in self-play.",
        )
        require(
            0 < self.share <= 1,
            f"arena.share={self.share} must be above 0 and at most 1; arena.num_workers=0 plays no matches.",
        )
        if self.opponents is not None:
            require(
                len(self.opponents) >= 1,
                "arena.opponents=[] is empty, and Elo is relative to the first opponent: name at least one, as in "
                "[rollout:100], or write null for those of the game; arena.num_workers=0 plays no matches.",
            )
            require(
                len(set(self.opponents)) == len(self.opponents),
                f"arena.opponents={list(self.opponents)} names a player twice.",
            )


@dataclass(frozen=True)
class JudgeSettings:
    """Judgements of models by positions whose perfect play is known, during the training, by the arena's workers.

    file: a path, or a name from `ddpzero judge --list`; None for no judgements.
    interval_minutes: the least training time between two judged models. num_simulations: per position; each model is
    judged with each of them, 0 being the network alone. max_positions: the most positions, evenly spaced over the file.
    """

    file: str | None = None
    interval_minutes: float = 1.0
    num_simulations: tuple[int, ...] = (0, 64)
    max_positions: int = 200

    def __post_init__(self) -> None:
        require(
            self.file != "",
            "judge.file='' names no file: give a path or a name from `ddpzero judge --list`, or null.",
        )
        require_at_least("judge", self, {"interval_minutes": 0, "max_positions": 1})
        numbers = self.num_simulations
        require(
            len(numbers) >= 1,
            "judge.num_simulations=[] is empty: write [0, 64], for instance; judge.file=null judges no models.",
        )
        for index, number in enumerate(numbers):
            require(
                number >= 0 and number not in numbers[:index],
                f"judge.num_simulations[{index}]={number} must be 0 (the network alone) or more, and no number may "
                "appear twice.",
            )


@dataclass(frozen=True)
class ReleaseSettings:
    """Which model is the best one of a run, and which one generates episodes.

    rule: "always": the newest. "gate": the newest if it scores at least `threshold` against the best. "elo": the newest
    if it is more than `min_elo` stronger than the best, or after max_steps updates. Both compare in `games` games.
    self_play: "latest": actors play with the newest weights. "best": they play with those of the best model.
    """

    rule: Literal["always", "gate", "elo"] = "always"
    games: int = 400
    threshold: float = 0.55
    min_elo: float = 20.0
    max_steps: int = 10_000
    self_play: Literal["latest", "best"] = "latest"

    def __post_init__(self) -> None:
        _require_pairs("release.games", self.games)
        require(
            0 < self.threshold < 1,
            f"release.threshold={self.threshold} must be above 0 and below 1: it is a match score.",
        )
        require_at_least("release", self, {"max_steps": 1})


def _require_pairs(key: str, num_games: int) -> None:
    require(
        num_games >= 2 and num_games % 2 == 0,
        f"{key}={num_games} must be even and at least 2, because each start is played twice, with sides swapped.",
    )
