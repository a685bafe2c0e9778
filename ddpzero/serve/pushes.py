"""Takes the models that learners push. The first one decides which run is collected."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import tempfile
from pathlib import Path

import sqlalchemy as sa

from ddpzero.games import Game
from ddpzero.remote.contributed import contributed_config
from ddpzero.remote.messages import ModelInformation
from ddpzero.remote.model_file import ModelFile, read_model_file
from ddpzero.serve.collection import Collection, load_run, store_run
from ddpzero.serve.joiner import Joiner
from ddpzero.serve.models import (
    add_model,
    find_model,
    is_model_name,
    model_path,
    remove_surplus_models,
)
from ddpzero.serve.refusals import Refusal
from ddpzero.serve.writer import Writer
from ddpzero.system.errors import UserError

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 15


class Pushes:
    """Takes models. Used in the server's event loop only."""

    def __init__(self, collection: Collection, writer: Writer, joiner: Joiner) -> None:
        self._collection = collection
        self._writer = writer
        self._joiner = joiner
        # A push that waits for another one finds the model and the run of that one.
        self._pushing = asyncio.Lock()

    async def take(self, name: str, content: bytes) -> ModelInformation:
        """Add a released model, once. content: of its file. Raises Refusal, also if another one has the name."""
        collection = self._collection
        if not is_model_name(name):
            raise Refusal(422, f"{name[:80]!r} is no name of a model.")
        sha256 = hashlib.sha256(content).hexdigest()
        async with self._pushing:
            model = await asyncio.to_thread(find_model, collection.engine, name)
            if model is None:
                await self._add(name, content, sha256)
                model = collection.models[0]
        if model.sha256 != sha256:
            raise Refusal(409, f"there is another model with the name {name}.")
        return collection.describe(model)

    async def _add(self, name: str, content: bytes, sha256: str) -> None:
        collection, settings = self._collection, self._collection.settings
        final_path = model_path(collection.folder, name)
        path = await asyncio.to_thread(_write_aside, final_path, content)
        try:
            model = await asyncio.to_thread(read_model_file, path)
            if model.model != name:
                raise Refusal(422, f"the file contains the model {model.model[:80]!r}, not {name}.")
            await self._begin_run(model)
            path.replace(final_path)
        except UserError as error:
            raise Refusal(422, str(error).replace(str(path), "the model")) from None
        finally:
            path.unlink(missing_ok=True)
        await self._writer.call(add_model, collection.engine, model, sha256, len(content))
        await collection.refresh()
        await self._writer.call(
            remove_surplus_models,
            collection.engine,
            collection.folder,
            settings.max_models,
            {collection.best_model().name},
        )
        await collection.refresh()
        logger.info("model %s", name)

    async def _begin_run(self, model: ModelFile) -> None:
        """Begin to collect for the run of a model, or check that it is the one that is collected."""
        collection, run = self._collection, self._collection.run
        config = await asyncio.to_thread(contributed_config, model.config)
        if run is not None:
            if model.run != run.name or config["game"] != run.config["game"]:
                raise Refusal(
                    409,
                    f"this server collects games for the run {run.name}; {model.run[:80]} needs another server.",
                )
            if config == run.config:
                return
        run = await asyncio.to_thread(load_run, model.run, config)
        _check_lengths(run.game, collection.settings.min_plies)
        async with self._joiner.counting:
            await self._write_waiting_games()
            await self._writer.call(store_run, collection.engine, run)
            collection.run = run

    async def _write_waiting_games(self) -> None:
        """Write the games of the run's present config to files, which games of another one cannot be joined to."""
        try:
            await self._joiner.join_all()
        except (OSError, sa.exc.SQLAlchemyError) as error:
            logger.error("accepted games cannot be written to a file now: %s", error)
            raise Refusal(
                503,
                "the games of the run's earlier config cannot be written now: try again later.",
                _RETRY_SECONDS,
            ) from None


def _write_aside(path: Path, content: bytes) -> Path:
    """Write a new file beside a path, and return its own path."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".pushed-", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return Path(file.name)


def _check_lengths(game: Game, min_plies: int) -> None:
    longest = game.spec.max_plies
    if longest < min_plies:
        raise Refusal(
            409,
            f"serve.min_plies={min_plies}: no game of {game.name} has more than {longest} plies; start the server "
            "with a smaller serve.min_plies.",
        )
