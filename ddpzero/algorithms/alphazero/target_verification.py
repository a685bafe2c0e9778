"""Whether the targets of an episode's samples follow from its result and from what its searches found."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.algorithms.base import EpisodeFacts
from ddpzero.search import SearchSettings

_SIGN_BIT = 0x8000
# Of the sum of a distribution; each entry is off by at most 1/2048 of itself.
_FLOAT16_ROUNDING = 0.001
_ROUNDING = 1e-4


def problem_of_policies(
    settings: AlphaZeroSettings, columns: Mapping[str, np.ndarray], legal: np.ndarray
) -> str:
    """Return what is wrong with policies and their weights, as problem_of in verification.py.

    legal: `[n, A]`, before the move of each sample.
    """
    # numpy compares float16 forty times as slowly as integers of the same bits, the first of which is the sign.
    bits = columns["policy_target"].view(np.uint16)
    is_preferred = bits != 0
    if (bits >= _SIGN_BIT).any():
        return "has a policy_target with a negative entry."
    if (is_preferred & ~legal).any():
        return "has a policy_target that prefers an illegal move."
    has_policy = is_preferred.any(axis=1)
    sums = columns["policy_target"][has_policy].sum(axis=1, dtype=np.float32)
    if (np.abs(sums - 1) > _FLOAT16_ROUNDING).any():
        return "has a policy_target whose sum is not 1."
    if settings.full_search_fraction >= 1 and not has_policy.all():
        return "has a sample without a policy_target, which every search gives."
    if "next_policy_target" in columns:
        following = np.zeros_like(bits)
        following[:-1] = bits[1:]
        if (columns["next_policy_target"].view(np.uint16) != following).any():
            return "has a next_policy_target that is not the policy_target of its next sample."
    if "surprise" in columns:
        surprises = columns["surprise"]
        mean = surprises[has_policy].mean() if has_policy.any() else 1.0
        if (surprises < 0).any() or abs(mean - 1) > _ROUNDING:
            return "has surprises below 0, or whose mean is not 1."
        if (surprises[~has_policy] != 1).any():
            return "has a sample with a surprise, but without a policy_target."
    return ""


def problem_of_values(
    settings: AlphaZeroSettings,
    search: SearchSettings,
    facts: EpisodeFacts,
    info: Mapping[str, Any],
    columns: Mapping[str, np.ndarray],
    signs: np.ndarray,
) -> str:
    """Return what is wrong with outcomes, scores and lambda-returns, as problem_of in verification.py.

    Each outcome is that of the next sample, or the search's value in its own position; see samples.outcomes_of.
    signs: `[n]`, 1 for samples of the first player, -1 for the others.
    """
    result = np.float32(facts.returns[0])
    outcomes = _Targets(signs * columns["outcome"], signs * columns["root_value"], result)
    draws = _Targets(columns["outcome_draw"], columns["root_draw"], np.float32(1 - abs(result)))
    if (~outcomes.are_inherited & ~outcomes.are_searched).any():
        return "has a sample whose outcome is neither its result nor a value of its search."
    if (~draws.are_inherited & ~draws.are_searched).any():
        return (
            "has a sample whose outcome_draw is neither that of its result nor one of its search."
        )
    inherited = outcomes.are_inherited & draws.are_inherited
    searched = outcomes.are_searched & draws.are_searched
    if "score" in columns and facts.is_ended_by_rules:
        score, is_searched = signs * columns["score"], "root_score" in columns
        found = signs * columns["root_score"] if is_searched else score
        scores = _Targets(score, found, np.float32(info["score"]))
        if (~scores.are_inherited & ~(scores.are_searched & is_searched)).any():
            return "has a sample with another score than its own."
        inherited, searched = inherited & scores.are_inherited, searched & scores.are_searched
    if (~inherited & ~searched).any():
        return "has a sample that takes its outcome, its draws and its score from different plies."
    return _problem_of_decisions(
        settings, search, columns, searched & ~inherited
    ) or _problem_of_returns(settings, columns, signs, result, inherited, searched)


def _problem_of_decisions(
    settings: AlphaZeroSettings,
    search: SearchSettings,
    columns: Mapping[str, np.ndarray],
    are_decided: np.ndarray,
) -> str:
    """Where the search's value replaces the result, it was proven, or a random move followed.

    are_decided: `[n]`, the samples where this is so and makes a difference.
    """
    num_decided = int(are_decided.sum())
    if not num_decided:
        return ""
    # A proven value v has the draw share 1 - |v|.
    values, draws = columns["root_value"][are_decided], columns["root_draw"][are_decided]
    can_be_proven = np.abs(draws - (1 - np.abs(values))) < _ROUNDING
    num_random = num_decided - int(can_be_proven.sum()) if search.solve else num_decided
    if num_random > _most_random_moves(len(are_decided), settings.random_action_fraction):
        return f"has {num_random} samples whose outcome is a value of their search that nothing has proven."
    return ""


@cache
def _most_random_moves(num_plies: int, fraction: float) -> int:
    """Return how many of some plies are random at most, but for one episode in a billion."""
    # Imported here, so that launch/gpu_check.sh does not need it.
    from scipy.stats import binom

    return int(binom.isf(1e-9, num_plies, fraction)) if fraction > 0 else 0


def _problem_of_returns(
    settings: AlphaZeroSettings,
    columns: Mapping[str, np.ndarray],
    signs: np.ndarray,
    result: np.float32,
    inherited: np.ndarray,
    searched: np.ndarray,
) -> str:
    """The lambda-returns follow from one ply to the one before it; see samples.lambda_returns.

    inherited, searched: `[n]`, whether the outcome can be that of the next sample; can be the search's value.
    """
    found = []
    if "short_value" in columns:
        decays = np.array(settings.short_value_lambdas, np.float32)
        found += [("short_value", "short_draw", decays)]
    if "lambda_value" in columns:
        found += [("lambda_value", "lambda_draw", np.array([settings.value_lambda], np.float32))]
    draw, ones = np.float32(1 - abs(result)), np.ones_like(signs)
    for name, draw_name, decays in found:
        is_following, is_own = inherited, searched
        for values, outcomes, roots, view, last in (
            (columns[name], columns["outcome"], columns["root_value"], signs, result),
            (columns[draw_name], columns["outcome_draw"], columns["root_draw"], ones, draw),
        ):
            # From the view of the first player.
            seen = view[:, None] * values.reshape(len(view), -1)
            after = np.concatenate([seen[1:], np.full((1, seen.shape[1]), last)])
            mixed = (1 - decays) * (view * roots)[:, None] + decays * after
            own = (view * outcomes)[:, None]
            is_following = is_following & (np.abs(seen - mixed) < _ROUNDING).all(axis=1)
            is_own = is_own & (np.abs(seen - own) < _ROUNDING).all(axis=1)
        if not (is_following | is_own).all():
            return f"has a {name} that is not the lambda-return of its searches."
    return ""


class _Targets:
    """Where a target, `[n]` values seen by the first player, comes from. searched: `[n]`, what the searches found.

    are_inherited: `[n]`, whether it is that of the next sample; of the last one, that it is `last`.
    are_searched: `[n]`, whether it is what the search in its own position found.
    """

    def __init__(self, values: np.ndarray, searched: np.ndarray, last: np.float32) -> None:
        self.are_inherited = values == np.append(values[1:], last)
        self.are_searched = values == searched
