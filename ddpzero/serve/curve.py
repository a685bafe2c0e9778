"""Lays out the curve of the ratings of a server's models; templates/curve.svg draws it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ddpzero.remote.messages import ModelInformation

# The part of the drawing for the points, in percent. Labels of ratings are to the left of it, those of samples below.
_LEFT, _RIGHT, _TOP, _BOTTOM = 14.0, 94.0, 14.0, 82.0
_MAX_TICKS = 6


@dataclass(frozen=True)
class Point:
    """A rated model. x, y, low, high: where its rating and the ends of its interval are; y grows downwards."""

    x: float
    y: float
    low: float
    high: float
    label: str


@dataclass(frozen=True)
class Tick:
    """A labelled line across the drawing."""

    at: float
    label: str


@dataclass(frozen=True)
class Curve:
    """Ratings (y) over the samples that the models were trained on (x). All places are in percent of the drawing."""

    points: list[Point] = field(default_factory=list)
    x_ticks: list[Tick] = field(default_factory=list)
    y_ticks: list[Tick] = field(default_factory=list)


def rating_curve(models: Sequence[ModelInformation]) -> Curve:
    """Return the curve of the models that are rated; empty if there are none."""
    rated = [
        (model, model.elo, model.low, model.high)
        for model in sorted(models, key=lambda model: model.samples_trained)
        if model.elo is not None and model.low is not None and model.high is not None
    ]
    if not rated:
        return Curve()
    samples = _Scale([model.samples_trained for model, *_ in rated], _LEFT, _RIGHT)
    ratings = _Scale([end for _, _, *ends in rated for end in ends], _BOTTOM, _TOP)
    points = [
        Point(
            samples.place(model.samples_trained),
            ratings.place(elo),
            ratings.place(low),
            ratings.place(high),
            f"{model.name}: {rating_text(elo, low, high)}",
        )
        for model, elo, low, high in rated
    ]
    return Curve(
        points,
        [Tick(samples.place(at), short_count(at)) for at in samples.ticks()],
        [Tick(ratings.place(at), elo_text(at)) for at in ratings.ticks()],
    )


def elo_text(elo: float) -> str:
    """Return an Elo with its sign, in whole points."""
    number = round(elo)
    return f"{'+' if number > 0 else '−' if number < 0 else ''}{abs(number):,}"


def rating_text(elo: float, low: float, high: float) -> str:
    """Return an Elo with half the width of its interval, which the reference has not."""
    return elo_text(elo) if low == high else f"{elo_text(elo)} ± {(high - low) / 2:,.0f}"


def short_count(number: float) -> str:
    """Return a count in thousands, millions or billions."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:g} {letter}"
    return f"{number:g}"


class _Scale:
    """Places numbers between two places. The smallest number is at the first one."""

    def __init__(self, numbers: Sequence[float], first: float, last: float) -> None:
        self._low, self._high = min(numbers), max(numbers)
        self._first, self._last = first, last

    def place(self, number: float) -> float:
        width = self._high - self._low
        share = (number - self._low) / width if width else 0.5
        return round(self._first + share * (self._last - self._first), 2)

    def ticks(self) -> list[float]:
        """Return at most six round numbers at equal distances, among them 0 if it is in the range."""
        width = self._high - self._low
        if not width:
            return [self._low]
        power = 10.0 ** math.floor(math.log10(width))
        steps = [factor * power for factor in (0.1, 0.2, 0.5, 1, 2, 5)]
        for step in steps:
            first, last = math.ceil(self._low / step), math.floor(self._high / step)
            if last - first < _MAX_TICKS:
                break
        return [number * step for number in range(first, last + 1)]
