"""The pages of a collection server, made here as HTML: no script runs on them, and nothing comes from elsewhere."""

from __future__ import annotations

import io
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ddpzero.serve.refusals import Refusal
from ddpzero.serve.statistics import find_contributor, run_statistics

if TYPE_CHECKING:
    from ddpzero.serve.collection import Collection

_CURVE_SECONDS = 30.0
_MAX_MODELS = 100


class Pages:
    """Makes the pages. Used from several threads."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._curve: tuple[float, bytes] = (0.0, b"")
        self._templates = Environment(
            loader=PackageLoader("ddpzero.serve"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"count": count, "size": size, "ago": ago, "date": date}

    def run(self) -> str:
        statistics = run_statistics(self._collection)
        return self._render(
            "run.html",
            statistics=statistics,
            models=statistics.models[:_MAX_MODELS],
            has_ratings=any(model.elo is not None for model in statistics.models),
        )

    def contributor(self, name: str) -> str:
        found = find_contributor(self._collection, name)
        if found is None:
            raise Refusal(404, f"there is no contributor {name[:64]!r}.")
        contributor, rejections = found
        return self._render("contributor.html", contributor=contributor, rejections=rejections)

    def api(self, description: dict[str, Any]) -> str:
        """description: the OpenAPI document."""
        requests = [
            (method.upper(), path, request)
            for path, methods in description["paths"].items()
            for method, request in methods.items()
        ]
        schemas = description.get("components", {}).get("schemas", {})
        return self._render("api.html", description=description, requests=requests, schemas=schemas)

    def curve(self) -> bytes:
        """Return the ratings of all models over the samples that they were trained on, as SVG."""
        made_at, content = self._curve
        if time.monotonic() - made_at > _CURVE_SECONDS or not content:
            content = self._draw_curve()
            self._curve = time.monotonic(), content
        return content

    def _draw_curve(self) -> bytes:
        from matplotlib.figure import Figure

        models = [self._collection.describe(model) for model in self._collection.models]
        rated = [m for m in reversed(models) if m.elo is not None]
        figure = Figure(figsize=(7, 3), layout="constrained")
        panel = figure.subplots()
        elo = [model.elo or 0.0 for model in rated]
        errors = [
            [model.elo - (model.low or 0.0) for model in rated if model.elo is not None],
            [(model.high or 0.0) - model.elo for model in rated if model.elo is not None],
        ]
        samples = [model.samples_trained for model in rated]
        panel.errorbar(samples, elo, yerr=errors, fmt="o-", capsize=2, linewidth=1, markersize=4)
        panel.set_xlabel("samples trained on")
        panel.set_ylabel("Elo, with 95 % interval")
        panel.grid(alpha=0.3)
        file = io.BytesIO()
        figure.savefig(file, format="svg", transparent=True)
        return file.getvalue()

    def _render(self, template: str, **values: Any) -> str:
        collection = self._collection
        title = collection.settings.title or (collection.run.name if collection.run else "ddpzero")
        return self._templates.get_template(template).render(title=title, **values)


def count(number: float) -> str:
    return f"{number:,.0f}"


def size(num_bytes: float) -> str:
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
