"""Statistics of matches: the match score's interval and the Elo difference."""

from __future__ import annotations

import math

import numpy as np

# Two-sided 95 % of a normal distribution.
Z_95 = 1.959964


def paired_score_interval(pair_scores: np.ndarray) -> tuple[float, float]:
    """95 % interval of the expected score, from the scores of pairs of games with the same opening.

    pair_scores: `[m]` in [0, 1], the mean over a pair's two games; m >= 1. The pairs are independent draws, the two
    games of a pair are not.

    A normal interval on the pairs and two imagined ones, one won and one lost, as Agresti and Coull (1998) add two
    successes and two failures: 200 wins out of 200 then still leave room below 1.
    """
    scores = np.concatenate([pair_scores, [1.0, 0.0]])
    half_width = Z_95 * scores.std(ddof=1) / math.sqrt(len(scores))
    middle = scores.mean()
    return max(0.0, float(middle - half_width)), min(1.0, float(middle + half_width))


def share_interval(num_hits: int, num_trials: int) -> tuple[float, float]:
    """95 % interval of a binomial share (Wilson 1927); the whole of [0, 1] without trials."""
    if num_trials == 0:
        return 0.0, 1.0
    share = num_hits / num_trials
    z2 = Z_95**2 / num_trials
    middle = (share + z2 / 2) / (1 + z2)
    half_width = Z_95 * math.sqrt(share * (1 - share) / num_trials + z2 / (4 * num_trials))
    half_width /= 1 + z2
    return max(0.0, middle - half_width), min(1.0, middle + half_width)


def elo_difference(score: float) -> float:
    """Return the Elo difference of a player with the match score `score` in [0, 1]; infinite at both ends."""
    if score <= 0:
        return -math.inf
    if score >= 1:
        return math.inf
    return 400 * math.log10(score / (1 - score))


def repetition_caveat(num_distinct_games: int, num_games: int) -> str:
    """Return a sentence if so many games are repetitions that an interval is too narrow; else ""."""
    if num_distinct_games >= 0.9 * num_games:
        return ""
    return f"Only {num_distinct_games} of the {num_games} games differ: the interval is too narrow."


def elo_text(elo: float, low: float, high: float) -> str:
    """Say how much stronger a player is, from its difference in Elo and the 95 % interval of that; any may be infinite.

    A player who won (or lost) all games has only one bound, which says nothing while it is on the wrong side of 0.
    """
    if math.isinf(elo):
        bound = low if elo > 0 else high
        if bound * elo <= 0 or math.isinf(bound):
            return "too few games for a difference in Elo"
        return f"{'more' if elo > 0 else 'less'} than {bound:+z.0f} Elo"
    if math.isinf(low) and math.isinf(high):
        return f"{elo:+z.0f} Elo (too few games for an interval)"
    if math.isinf(low) or math.isinf(high):
        known = f"less than {high:+z.0f}" if math.isinf(low) else f"more than {low:+z.0f}"
        return f"{elo:+z.0f} Elo (95 %: {known})"
    return f"{elo:+z.0f} Elo ({low:+z.0f} to {high:+z.0f})"
