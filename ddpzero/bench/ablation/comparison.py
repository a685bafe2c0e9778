"""Statistics of an ablation: the difference between a variant and the first one, paired by position or opening.

    values   [S, N]   a figure of S seeds in N positions (or openings), the same for both variants; in [0, 1]

Interval and p-value describe chance in the choice of positions for these very trainings. What another seed changes
shows only in the differences by seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

_NUM_RESAMPLES = 9_999
# Resamples drawn at a time: bounds the memory.
_AT_ONCE = 500


@dataclass(frozen=True)
class Comparison:
    """mean: over seeds and positions. low, high: 95 % interval of the difference. by_seed: `[S]`, the differences."""

    mean: float
    difference: float
    low: float
    high: float
    p_value: float
    by_seed: np.ndarray


def compare(values: np.ndarray, first: np.ndarray, seed: int = 0) -> Comparison:
    """Compare a variant with the first one. first: `[S, N]`, or a number that stands for all. seed: of the resampling.

    The interval is that of a paired bootstrap over positions, whose differences are first averaged over the seeds:
    the same position judged for several seeds is no independent observation.
    """
    differences = values - first
    of_position = differences.mean(axis=0)
    rng = np.random.default_rng(seed)
    low, high = np.quantile(_bootstrap_means(of_position, rng), (0.025, 0.975))
    return Comparison(
        mean=float(values.mean()),
        difference=float(of_position.mean()),
        low=float(low),
        high=float(high),
        p_value=_p_value(differences, of_position, rng),
        by_seed=differences.mean(axis=1),
    )


def _p_value(differences: np.ndarray, of_position: np.ndarray, rng: np.random.Generator) -> float:
    """Two-sided p-value of "no difference": McNemar's exact test for one seed and right or wrong answers.

    Otherwise the permutation test of which that is the special case: each position's difference may change its sign.
    """
    if len(differences) == 1 and np.isin(of_position, (-1.0, 0.0, 1.0)).all():
        num_better, num_discordant = int((of_position > 0).sum()), int((of_position != 0).sum())
        return float(binomtest(num_better, num_discordant).pvalue) if num_discordant else 1.0
    changed = of_position[of_position != 0]
    if not len(changed):
        return 1.0
    num_as_extreme = 0
    for size in _chunks():
        signs = 2.0 * rng.integers(0, 2, (size, len(changed))) - 1.0
        # The tolerance counts equal sums in spite of rounding.
        num_as_extreme += int((np.abs(signs @ changed) >= abs(changed.sum()) - 1e-9).sum())
    return (1 + num_as_extreme) / (1 + _NUM_RESAMPLES)


def _bootstrap_means(of_position: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the mean of each resample of the positions."""
    num_positions = len(of_position)
    means = [
        of_position[rng.integers(num_positions, size=(size, num_positions))].mean(axis=1)
        for size in _chunks()
    ]
    return np.concatenate(means)


def _chunks() -> list[int]:
    num_full, rest = divmod(_NUM_RESAMPLES, _AT_ONCE)
    return [_AT_ONCE] * num_full + [rest]
