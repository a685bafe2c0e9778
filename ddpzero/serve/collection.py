"""What a server collects: its run, the run's models and their ratings, in memory as they are in the database."""

from __future__ import annotations

import asyncio
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ddpzero import __version__
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.arena.ratings import Rating
from ddpzero.config.conversion import settings_from_dict, with_defaults
from ddpzero.games import Game
from ddpzero.games.core.rules_hash import rules_hash
from ddpzero.remote.messages import API_VERSION, ModelInformation, RunInformation
from ddpzero.serve.database import read_fact, reading, write_fact
from ddpzero.serve.matches import read_ratings
from ddpzero.serve.models import ModelRow, list_models
from ddpzero.serve.refusals import Refusal
from ddpzero.serve.settings import ServeSettings
from ddpzero.system.json_text import json_text

_RUN_FACT = "run"
# Before the first model, clients should ask again after so long.
_RETRY_SECONDS = 15


@dataclass(frozen=True)
class CollectedRun:
    """The run that is collected. config: as contributors play it. rules: see rules_hash."""

    name: str
    config: dict[str, Any]
    rules: str
    game: Game


def load_run(name: str, config: dict[str, Any]) -> CollectedRun:
    """Load the game of a run. config: as contributors play it. Raises UserError."""
    settings = settings_from_dict(with_defaults(config))
    game = load_algorithm(settings).game
    assert isinstance(game, Game)
    return CollectedRun(name, config, rules_hash(game), game)


def store_run(engine: sa.engine.Engine, run: CollectedRun) -> None:
    with engine.begin() as connection:
        write_fact(connection, _RUN_FACT, json_text([run.name, run.config]))


class Collection:
    """The state that requests share. Changed in the server's event loop only.

    folder: of the server. run: None before the first model. models: the newest first. ratings: the strongest first.
    """

    def __init__(self, folder: Path, settings: ServeSettings, engine: sa.engine.Engine) -> None:
        self.folder = folder
        self.settings = settings
        self.engine = engine
        self.run: CollectedRun | None = None
        self.models: list[ModelRow] = []
        self.ratings: list[Rating] = []
        # Otherwise an earlier reading could replace a later one.
        self._refreshing = asyncio.Lock()

    async def open(self) -> None:
        """Take up the run and the models that an earlier server left."""
        with reading(self.engine) as connection:
            stored = read_fact(connection, _RUN_FACT)
        if stored is not None:
            self.run = await asyncio.to_thread(load_run, *json.loads(stored))
        await self.refresh()

    async def refresh(self) -> None:
        """Read models and ratings, after models or matches have changed in the database."""
        async with self._refreshing:
            models = await asyncio.to_thread(list_models, self.engine)
            known = {row.id: row for row in self.models}
            self.models = [_with_latest_counts(row, known.get(row.id, row)) for row in models]
            self.ratings = await asyncio.to_thread(read_ratings, self.engine, self.models)

    def note_games(self, counted: ModelRow) -> None:
        """Note the counts of a model after an upload. counted: its row, read together with the counting."""
        self.models = [
            _with_latest_counts(row, counted) if row.id == counted.id else row
            for row in self.models
        ]

    def begun_run(self) -> CollectedRun:
        """Return the run. Raises Refusal before the first model."""
        if self.run is None:
            raise Refusal(
                503, "no learner has pushed a model yet: try again later.", _RETRY_SECONDS
            )
        return self.run

    def information(self) -> RunInformation:
        """Return what clients need to know. Raises Refusal before the first model."""
        run = self.begun_run()
        return RunInformation(
            api_version=API_VERSION,
            ddpzero=__version__,
            run=run.name,
            rules=run.rules,
            config=run.config,
            min_plies=self.settings.min_plies,
            max_plies=self.settings.max_plies,
            max_upload_bytes=self.settings.max_upload_bytes,
            max_upload_games=self.settings.max_upload_games,
            newest=self.describe(self.models[0]) if self.models else None,
            best=self.describe(self.best_model()) if self.models else None,
        )

    def describe(self, model: ModelRow) -> ModelInformation:
        rating = next((rating for rating in self.ratings if rating.player == model.name), None)
        return ModelInformation(
            name=model.name,
            sha256=model.sha256,
            size_bytes=model.size_bytes,
            weights_version=model.weights_version,
            samples_trained=model.samples_trained,
            created_at=model.created_at,
            num_games=model.num_games,
            elo=rating.elo if rating else None,
            low=rating.low if rating else None,
            high=rating.high if rating else None,
        )

    def best_model(self) -> ModelRow:
        """Return the model with the highest rating; the newest one while there are no ratings."""
        by_name = {model.name: model for model in self.models}
        rated = [by_name[rating.player] for rating in self.ratings if rating.player in by_name]
        return next((model for model in rated if not model.is_removed), self.models[0])

    def present_models(self) -> list[ModelRow]:
        """Return the models whose files still exist, the newest first."""
        return [model for model in self.models if not model.is_removed]

    def recent_models(self) -> list[ModelRow]:
        """Return the models whose games are accepted, the newest first."""
        settings = self.settings
        since = time.time() - 60 * settings.recent_minutes
        superseded = [math.inf, *(model.created_at for model in self.models)]
        return [
            model
            for number, model in enumerate(self.models)
            if number < settings.recent_models or superseded[number] >= since
        ]


def _with_latest_counts(row: ModelRow, other: ModelRow) -> ModelRow:
    """Return a row with the later counts of two readings, whichever of them ended first: counts only grow."""
    return row._replace(
        num_games=max(row.num_games, other.num_games),
        num_samples=max(row.num_samples, other.num_samples),
    )
