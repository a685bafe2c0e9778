"""What comes back from an evaluator or a policy network, checked before compiled code reads it.

Compiled selection compares numbers: with NaN no action is the best one, and it would return an index that is none.
"""

from __future__ import annotations

import math

import numpy as np


class EvaluationError(RuntimeError):
    """A network answered with numbers that are not finite. The message is one sentence."""


def check_answers(logits: np.ndarray, outcomes: np.ndarray, source: str = "the evaluator") -> None:
    """Raise EvaluationError unless all prior logits and outcomes are finite. source: who answered, for the message."""
    # A sum of squares takes a third of the time that a look at each number takes, but finite ones may overflow in it.
    total = float(np.vdot(logits, logits)) + float(np.vdot(outcomes, outcomes))
    if math.isfinite(total) or (np.isfinite(logits).all() and np.isfinite(outcomes).all()):
        return
    kind = "outcomes" if np.isfinite(logits).all() else "prior logits"
    raise EvaluationError(
        f"{source} answered with {kind} that are not finite: its weights are of no use."
    )
