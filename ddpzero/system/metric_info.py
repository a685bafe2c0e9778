"""Declarations of metrics: kind, unit and description.

The core declares its metrics in training/metrics.py, a plugin in `METRICS` of its module. The learner computes rows by
these declarations; TensorBoard's descriptions and layout and `ddpzero monitor` use them. An undeclared metric is a mean
without a description. Light to import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

from ddpzero.system.guarded_files import printable

Kind = Literal["mean", "last", "rate", "time_share", "ratio"]

# Units with a special format; any other unit is shown after the number.
SHARE, PER_SECOND = "share", "1/s"


@dataclass(frozen=True)
class MetricInfo:
    """The declaration of one metric, under its tag "group/name"; a `*` in the tag matches any text.

    description: one sentence; each `*` in it is replaced with the text that the tag's `*` matches.
    unit: "share" (of 1, shown in percent), "1/s", or a word such as "GiB"; "" for a plain number.
    kind: how a row's value is computed from the measurements since the last row.
        "mean": the mean of all values, over all ranks.
        "last": the newest value, as a mean over ranks.
        "rate": counts[0], summed over all ranks, per second.
        "time_share": counts[0], in seconds, as a share of the time of all actors.
        "ratio": counts[0] divided by counts[1], both summed over all ranks; no value while counts[1] is 0.
    is_headline: one of the few curves that a person looks at first.
    """

    description: str = ""
    unit: str = ""
    kind: Kind = "mean"
    counts: tuple[str, ...] = ()
    is_headline: bool = False


Metrics = Mapping[str, MetricInfo]


def rate(count: str, description: str, *, is_headline: bool = False) -> MetricInfo:
    """Declare a count per second."""
    return MetricInfo(description, PER_SECOND, "rate", (count,), is_headline)


def time_share(seconds: str, description: str) -> MetricInfo:
    """Declare a count of seconds as a share of the actors' time."""
    return MetricInfo(description, SHARE, "time_share", (seconds,))


def ratio(part: str, whole: str, description: str, unit: str = SHARE) -> MetricInfo:
    """Declare one count divided by another; with the default unit, as a share of it."""
    return MetricInfo(description, unit, "ratio", (part, whole))


def info_of(metrics: Metrics, tag: str) -> MetricInfo:
    """Return a tag's declaration, with `*` replaced in the description; the default for an undeclared tag."""
    if tag in metrics:
        return metrics[tag]
    for pattern, info in metrics.items():
        if "*" in pattern and (match := re.fullmatch(tag_regex(pattern), tag)):
            description = info.description
            for part in match.groups():
                description = description.replace("*", part, 1)
            return MetricInfo(description, info.unit, info.kind, info.counts, info.is_headline)
    return MetricInfo()


def sorted_tags(metrics: Metrics, tags: list[str]) -> list[str]:
    """Return the tags in the order of their declarations; undeclared ones follow in their given order."""
    patterns = list(metrics)

    def place(tag: str) -> int:
        if tag in metrics:
            return patterns.index(tag)
        matching = (
            i for i, p in enumerate(patterns) if "*" in p and re.fullmatch(tag_regex(p), tag)
        )
        return next(matching, len(patterns))

    return sorted(tags, key=place)


@lru_cache(maxsize=1024)
def tag_regex(pattern: str) -> str:
    """Return the regular expression of a declared tag, with a group for each `*`."""
    return "(.*)".join(re.escape(part) for part in pattern.split("*"))


def metrics_to_json(metrics: Metrics) -> dict[str, Any]:
    """Return the declarations as plain values."""
    return {tag: asdict(info) for tag, info in metrics.items()}


def metrics_from_json(value: Any) -> dict[str, MetricInfo]:
    """Return the declarations that `metrics_to_json` wrote; ignore anything else, and make text printable."""
    if not isinstance(value, dict):
        return {}
    return {printable(tag): _info(entry) for tag, entry in value.items() if isinstance(entry, dict)}


def _info(entry: Mapping[str, Any]) -> MetricInfo:
    description, unit, kind = (entry.get(name) for name in ("description", "unit", "kind"))
    return MetricInfo(
        printable(description) if isinstance(description, str) else "",
        printable(unit) if isinstance(unit, str) else "",
        next((known for known in get_args(Kind) if known == kind), "mean"),
        is_headline=entry.get("is_headline") is True,
    )
