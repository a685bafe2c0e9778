"""The pages of a collection server, made here as HTML: no script runs on them, and nothing comes from elsewhere."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ddpzero import __version__
from ddpzero.remote.messages import ModelInformation
from ddpzero.serve.api_page import capitalized, code_parts, messages_of, requests_of
from ddpzero.serve.curve import rating_curve, rating_text
from ddpzero.serve.refusals import MEANINGS, Refusal
from ddpzero.serve.statistics import (
    ACTIVE_SECONDS,
    MAX_REASONS,
    find_contributor,
    run_statistics,
)

if TYPE_CHECKING:
    from ddpzero.serve.collection import Collection

# Of the rest, the page of the run shows so many on demand.
_OPEN_MODELS = 10
_OPEN_CONTRIBUTORS = 20
_MAX_MODELS = 500


class Pages:
    """Makes the pages. Used from several threads."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._templates = Environment(
            loader=PackageLoader("ddpzero.serve"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "count": count,
            "size": size,
            "ago": ago,
            "date": date,
            "moment": moment,
            "rating": rating,
            "code_parts": code_parts,
        }

    def run(self) -> str:
        statistics = run_statistics(self._collection)
        return self._render(
            "run.html",
            statistics=statistics,
            models=statistics.models[:_MAX_MODELS],
            open_models=_OPEN_MODELS,
            open_contributors=_OPEN_CONTRIBUTORS,
            active_minutes=round(ACTIVE_SECONDS / 60),
            has_ratings=any(model.elo is not None for model in statistics.models),
            has_unrated=any(model.elo is None for model in statistics.models),
        )

    def contributor(self, name: str) -> str:
        found = find_contributor(self._collection, name)
        if found is None:
            raise Refusal(404, f"there is no contributor {name[:64]!r}.")
        return self._render(
            "contributor.html",
            contributor=found.counts,
            is_removed=found.is_removed,
            rejections=found.rejections,
            max_reasons=MAX_REASONS,
        )

    def api(self, description: dict[str, Any]) -> str:
        """description: the OpenAPI document."""
        messages = messages_of(description)
        return self._render(
            "api.html",
            description=description,
            requests=requests_of(description),
            messages=messages,
            meanings=MEANINGS,
            names={message.name for message in messages},
        )

    def refusal(self, status: int, sentence: str) -> str:
        """Return the page of an address that cannot be shown."""
        return self._render(
            "refusal.html", phrase=HTTPStatus(status).phrase, sentence=capitalized(sentence)
        )

    def curve(self) -> bytes:
        """Return the ratings of all models over the samples that they were trained on, as SVG."""
        models = [self._collection.describe(model) for model in self._collection.models]
        return self._render("curve.svg", curve=rating_curve(models)).encode()

    def _render(self, template: str, **values: Any) -> str:
        collection = self._collection
        title = collection.settings.title or (collection.run.name if collection.run else "ddpzero")
        return self._templates.get_template(template).render(
            title=title, version=__version__, now=time.time(), **values
        )


def count(number: float) -> str:
    return f"{number:,.0f}"


def size(num_bytes: float) -> str:
    if num_bytes == 1:
        return "1 byte"
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if num_bytes < 1024:
            return f"{num_bytes:,.0f} {unit}" if unit == "bytes" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1024
    return f"{num_bytes:.1f} TiB"


def ago(at: float | None) -> str:
    if at is None:
        return "never"
    seconds = max(0.0, time.time() - at)
    for length, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    return "just now"


def date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def moment(at: float) -> str:
    """Return a time as the attribute of an element of HTML."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rating(model: ModelInformation) -> str:
    if model.elo is None or model.low is None or model.high is None:
        return "not rated"
    text = rating_text(model.elo, model.low, model.high)
    return f"{text}, the reference" if model.low == model.high else text
