"""Checks of the values that a plugin returns: metrics, counts, tags. Called by contract_checks.py.

Each function yields problems, as the rest of a sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ddpzero.algorithms.base import CORE_COUNTS, CORE_GROUPS, HOLDOUT_GROUP

_METRIC_NAME = re.compile(r"[a-z][a-z0-9_]*/[A-Za-z0-9_.\-]+")
_COUNT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A model's name contains the tag, and the name of a file is at most 255 bytes long.
_MODEL_TAG = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


def problems_of_tensors(metrics: Any) -> Iterator[str]:
    """Check the metrics of an update: finite tensors without dimensions."""
    yield from _problems_of_names(metrics)
    for name, value in metrics.items():
        if not (isinstance(value, torch.Tensor) and value.ndim == 0):
            yield f"the metric {name} is {shown(value)}; it must be a tensor without dimensions"
        elif not bool(value.isfinite()):
            yield f"the metric {name} is {float(value)}; it must be finite"


def problems_of_evaluation(metrics: Any) -> Iterator[str]:
    """Check the metrics of held-out samples: like those of an update, in a group of their own."""
    yield from problems_of_tensors(metrics)
    for name in metrics:
        if not name.startswith(f"{HOLDOUT_GROUP}/"):
            yield f"the metric {name} of evaluate is not named {HOLDOUT_GROUP}/name"


def problems_of_numbers(metrics: Any) -> Iterator[str]:
    """Check metrics that are finite numbers."""
    yield from _problems_of_names(metrics)
    yield from _problems_of_amounts("metric", metrics)


def problems_of_counts(counts: Any) -> Iterator[str]:
    """Check the counts of an actor, which the core adds to its own."""
    if not isinstance(counts, Mapping):
        yield f"take_metrics returns {shown(counts)}, not a dict"
        return
    for name in counts:
        if not (isinstance(name, str) and _COUNT_NAME.fullmatch(name)):
            yield f"the count {name!r} must be named with letters, digits and '_'"
        if name in CORE_COUNTS:
            yield f"the core has its own count {name}: rename it (reserved: {', '.join(sorted(CORE_COUNTS))})"
    yield from _problems_of_amounts("count", counts)


def problem_of_tag(tag: Any) -> str | None:
    """Check the result of model_tag, which becomes a part of file names."""
    if isinstance(tag, str) and _MODEL_TAG.fullmatch(tag):
        return None
    return (
        f"model_tag returns {shown(tag)}; file names contain it: use 1 to 64 letters, digits, '_', '.' "
        "and '-'"
    )


def shown(value: Any) -> str:
    """Return a value of any type as a short text for a sentence."""
    if isinstance(value, torch.Tensor) and value.ndim:
        return f"a tensor {list(value.shape)}"
    return " ".join(repr(value).split())[:80]


def _problems_of_names(metrics: Any) -> Iterator[str]:
    if not isinstance(metrics, Mapping):
        yield f"the metrics are {shown(metrics)}, not a dict"
        return
    for name in metrics:
        if not (isinstance(name, str) and _METRIC_NAME.fullmatch(name)):
            yield f"the metric {name!r} is not named group/name"
        elif name.partition("/")[0] in CORE_GROUPS:
            yield f"the metric {name} is in a group that the core reserves ({', '.join(sorted(CORE_GROUPS))})"


def _problems_of_amounts(kind: str, amounts: Mapping[str, Any]) -> Iterator[str]:
    for name, value in amounts.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            yield f"the {kind} {name} is {shown(value)}, not a number"
        elif not math.isfinite(value):
            yield f"the {kind} {name} is {value}; it must be finite"
