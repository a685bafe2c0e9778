"""An evaluator's answers: their format, and the check that the search makes before it uses them.

Selection compares numbers in compiled code: with a NaN no action is the best one, and the index that it returns would
lie outside of the arrays. `are_usable` is called once a round by `absorb_evaluations`; it never changes an answer.
"""

from __future__ import annotations

import math

import numpy as np

from ddpzero.games.core.compiled import compiled

# Columns of outcomes `[n, 4]`: probabilities of the mover's win, draw and loss, then its expected points.
WIN, DRAW, LOSS, POINTS = range(4)
OUTCOME_SIZE = 4

_INFINITY = np.float32(np.inf)
# Softmax in float32 is exact to 1e-6; expected points on a GPU may be computed with TF32, to 1e-3.
_TOLERANCE = np.float32(0.01)
_ONE = np.float32(1.0)


class EvaluationError(RuntimeError):
    """A network's answers cannot be used, because they are not finite for example. The message is one sentence."""


@compiled
def points_of_score(score, scale):
    """Points in [-1, 1] that a score margin is worth; scale: SearchSettings.points_scale."""
    return math.tanh(score / scale)


@compiled
def are_usable(logits, outcomes):
    """Return whether logits `[n, A]` are finite and outcomes `[n, 4]` are probabilities and points; C-contiguous."""
    # With fewer columns compiled code would read beyond the array.
    if outcomes.shape[1] != OUTCOME_SIZE:
        return False
    # Neither loop stops at the first bad number: only so are they compiled to vector instructions, and cost nothing
    # beside the search (np.vdot over both arrays cost 5 % of a fast one).
    is_usable = True
    flat = logits.reshape(logits.size)
    for index in range(flat.shape[0]):
        is_usable &= abs(flat[index]) < _INFINITY
    for row in range(outcomes.shape[0]):
        win, draw, loss = outcomes[row, WIN], outcomes[row, DRAW], outcomes[row, LOSS]
        is_usable &= (win >= 0) & (draw >= 0) & (loss >= 0)
        is_usable &= abs(win + draw + loss - _ONE) <= _TOLERANCE
        is_usable &= abs(outcomes[row, POINTS]) <= _ONE + _TOLERANCE
    return is_usable


def unusable_answers(
    logits: np.ndarray, outcomes: np.ndarray, source: str = "the evaluator"
) -> EvaluationError:
    """Return the error to raise for answers that `are_usable` rejects. source: who answered, for the message."""
    if not np.isfinite(logits).all():
        what = "prior logits that are not finite"
    elif not np.isfinite(outcomes).all():
        what = "outcomes that are not finite"
    else:
        what = "outcomes that are not probabilities of win, draw and loss and points in [-1, 1]"
    return EvaluationError(f"{source} answered with {what}: its weights are unusable.")
