"""The rules by which a model becomes the best one of its run.

The rule "elo" is the published one of KataGo's distributed training: a model is released if it is more than 20 Elo
stronger than the best one in 400 games, or 10,000 updates after the last release.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ddpzero.arena.match_log import Block, num_repeated_games
from ddpzero.arena.statistics import (
    elo_difference,
    elo_text,
    paired_score_interval,
    repetition_caveat,
)


@dataclass(frozen=True)
class ReleaseRule:
    """When a model becomes the best one. All fields are those of the settings' group `release`; kind is its `rule`."""

    kind: Literal["always", "gate", "elo"]
    games: int
    threshold: float
    min_elo: float
    max_steps: int


def release_match(rule: ReleaseRule, best: str | None) -> int:
    """Return how many games a candidate must play against the best model before `decide` can judge it."""
    return 0 if rule.kind == "always" or best is None else rule.games


def score_of(blocks: Iterable[Block]) -> float:
    """Return the score of player_a in all games of the blocks."""
    return float(_pair_scores(blocks).mean())


def _pair_scores(blocks: Iterable[Block]) -> np.ndarray:
    return np.array([score for block in blocks for score in block.pair_scores])


def decide(
    rule: ReleaseRule, best: str | None, blocks: Sequence[Block], steps_since_release: int
) -> tuple[bool, str]:
    """Return whether a candidate is released, and a sentence with the reason.

    blocks: its games against the best model; none if that model is lost. steps_since_release: updates between both.
    """
    if best is None:
        return True, "it is the first model"
    if rule.kind == "always":
        return True, "release.rule=always releases every model"
    if not blocks:
        return True, f"{best}, which it should have played, is no longer in the run's models/"
    pair_scores = _pair_scores(blocks)
    score, (low, high) = float(pair_scores.mean()), paired_score_interval(pair_scores)
    elo = elo_difference(score)
    result = (
        f"it scored {score:.1%} (95 %: {low:.1%} to {high:.1%}) in {2 * len(pair_scores)} games against {best}, "
        f"{elo_text(elo, elo_difference(low), elo_difference(high))}"
    )
    num_games = 2 * len(pair_scores)
    if caveat := repetition_caveat(num_games - num_repeated_games(blocks), num_games):
        result = f"{result} ({caveat.rstrip('.').lower()})"
    if rule.kind == "gate":
        is_released = score >= rule.threshold
        return is_released, f"{result}; release.threshold={rule.threshold:g}"
    if elo > rule.min_elo:
        return True, f"{result}; release.min_elo={rule.min_elo:g}"
    if steps_since_release >= rule.max_steps:
        return True, (
            f"{result}; {steps_since_release:,} updates have passed since the last release "
            f"(release.max_steps={rule.max_steps:,})"
        )
    return False, f"{result}; release.min_elo={rule.min_elo:g}"
